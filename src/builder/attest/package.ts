/** A package that a database in an image says is installed. */
export interface Package {
  readonly type: "apk" | "deb" | "npm" | "python";
  readonly name: string;
  readonly version: string;
  /** Package URL (github.com/package-url/purl-spec). */
  readonly purl: string;
  /** As the package writes them; all of them apply. */
  readonly licenses: readonly string[];
  /** Who makes it, such as `Name <mail@host>`. */
  readonly supplier?: string;
  /** Path of what says so, in the image. */
  readonly source: string;
}

/** What os-release(5) says. */
export interface Release {
  readonly id?: string;
  readonly versionId?: string;
}

/** Longest text that is taken of a field; nothing real comes near. */
export const fieldLimit = 1000;

interface PurlParts {
  readonly type: string;
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version: string;
  /** In the order of their names. */
  readonly qualifiers?: Readonly<Record<string, string | undefined>>;
}

export function purlOf({ type, namespace, name, version, qualifiers = {} }: PurlParts): string {
  const path = [namespace, name].filter((part) => part !== undefined).map((part) => encodeURIComponent(part));
  const more = Object.entries(qualifiers).flatMap(([key, value]) =>
    value ? [`${key}=${encodeURIComponent(value.toWellFormed())}`] : [],
  );
  const query = more.length > 0 ? `?${more.join("&")}` : "";
  return `pkg:${type}/${path.join("/")}@${encodeURIComponent(version)}${query}`;
}

/** The qualifier that tells distributions apart. */
export function distroOf({ id, versionId }: Release): string | undefined {
  return id === undefined ? undefined : [id, ...(versionId ? [versionId] : [])].join("-");
}

/** Texts that encodeURIComponent and JSON take: what is not UTF-8 was replaced, lone surrogates cannot be. */
export function isName(text: string | undefined): text is string {
  return text !== undefined && text !== "" && text.length <= fieldLimit && text.isWellFormed();
}

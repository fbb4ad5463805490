import { EngineError } from "../errors/mod.ts";
import type { ImageForm } from "../images/mod.ts";
import type { control } from "../proto/mod.ts";
import type { BuildOutput } from "../wire/mod.ts";

/**
 * What becomes of a build's result: an image here, which may be pushed; an archive of the image, which is OCI's and docker's
 * form at once; its files as an archive, or one by one. All but the first go to the client and leave no image here.
 */
export type Exporter = ImageExporter | ArchiveExporter | FilesExporter;

export interface ImageExporter {
  readonly kind: "image";
  readonly names: readonly string[];
  /** False for one that is only pushed. */
  readonly stays: boolean;
  readonly push?: ImagePush;
}

export interface ImagePush {
  /** No tag names it in the registry. */
  readonly byDigest: boolean;
  readonly form?: ImageForm;
}

export interface ArchiveExporter {
  readonly kind: "archive";
  readonly names: readonly string[];
  /** Its files in a content store of the client's. */
  readonly isDirectory: boolean;
  /** For `docker load`, which knows no index. */
  readonly isDocker: boolean;
  readonly form?: ImageForm;
}

export interface FilesExporter {
  readonly kind: "tar" | "local";
  /** In a directory that has the platform's name; undefined: when there are several. */
  readonly split?: boolean;
}

/** The type's own names for it; `moby` is dockerd's own store. */
const kinds: Readonly<Record<string, Exporter["kind"]>> = {
  moby: "image",
  image: "image",
  registry: "image",
  docker: "archive",
  oci: "archive",
  tar: "tar",
  local: "local",
};

/** What images here are or have anyway, and what only the client needs to know. */
const harmless = [
  "unpack",
  "load",
  "buildinfo",
  "buildinfo-attrs",
  "dangling-name-prefix",
  "danglingname",
  "dest",
  "prefer-image-digest",
];

/** Throws "not-implemented" for types and attributes that are not there, "invalid" for values. None is an image without a name. */
export function exportersOf(outputs: readonly BuildOutput[]): readonly Exporter[] {
  if (outputs.length === 0) return [{ kind: "image", names: [], stays: true }];
  return outputs.map(({ type, attributes }) => exporterOf(type, new Attributes(attributes)));
}

function exporterOf(type: string, given: Attributes): Exporter {
  const kind = Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  switch (kind) {
    case undefined:
      throw refused(`output of type ${type} is`);
    case "image":
      return imageExporter(given, type);
    case "archive":
      return archiveExporter(given, type === "docker");
    case "tar":
    case "local":
      given.names(); // of an image, which this is none of
      return given.rest({ kind, ...given.split() });
    default:
      return kind satisfies never;
  }
}

function imageExporter(given: Attributes, type: string): ImageExporter {
  const names = given.names();
  const pushes = given.flag("push", type === "registry") && type !== "moby"; // whose clients push it themselves
  const stays = given.flag("store", true);
  if (!pushes) {
    if (given.flag("name-canonical", false)) throw refused("output with name-canonical and without push is");
    return given.rest({ kind: "image", names, stays });
  }
  if (given.flag("registry.insecure", false))
    throw refused("output with registry.insecure (tell the daemon which are) is");
  given.flag("name-canonical", false); // what is pushed has that name anyway
  const byDigest = given.flag("push-by-digest", false);
  const form = given.form("gzip");
  return given.rest({ kind: "image", names, stays, push: { byDigest, ...(form && { form }) } });
}

function archiveExporter(given: Attributes, isDocker: boolean): ArchiveExporter {
  const isDirectory = !given.flag("tar", true);
  const form = given.form("uncompressed");
  return given.rest({ kind: "archive", names: given.names(), isDocker, isDirectory, ...(form && { form }) });
}

/** The attributes of one output, of which every one must be read. */
class Attributes {
  readonly #left: Map<string, string>;

  constructor(attributes: Readonly<Record<string, string>>) {
    this.#left = new Map(Object.entries(attributes));
  }

  names(): string[] {
    return this.#take("name")
      .split(",")
      .filter((one) => one !== "");
  }

  flag(name: string, initial: boolean): boolean {
    const text = this.#take(name);
    if (text === "") return initial;
    if (["1", "t", "true"].includes(text.toLowerCase())) return true;
    if (["0", "f", "false"].includes(text.toLowerCase())) return false;
    throw new EngineError("invalid", `non-bool value for ${name}: ${JSON.stringify(text)}`);
  }

  split(): Pick<FilesExporter, "split"> {
    return this.#left.has("platform-split") ? { split: this.flag("platform-split", false) } : {};
  }

  /** undefined when nothing is said about it. */
  form(usual: ImageForm["compression"]): ImageForm | undefined {
    const force = this.flag("force-compression", false);
    if (!this.flag("rewrite-timestamp", true)) throw refused("output with rewrite-timestamp=false is");
    const hasTypes = this.#left.get("oci-mediatypes") !== undefined;
    const isOci = this.flag("oci-mediatypes", true);
    const [compression, level] = [this.#take("compression"), this.#take("compression-level")];
    if (compression === "" && level === "" && !hasTypes && !force) return undefined;
    return {
      compression: compression === "" ? usual : compressionOf(compression),
      ...(force && { force }),
      ...(level !== "" && { level: Number(level) }),
      ...(hasTypes && { mediaTypes: isOci ? "oci" : "docker" }),
    };
  }

  /** Returns what they came to. Throws "not-implemented" for one that nobody has read. */
  rest<T>(exporter: T): T {
    const unknown = [...this.#left.keys()].find((name) => !harmless.includes(name));
    if (unknown !== undefined) throw refused(`output with ${unknown} is`);
    return exporter;
  }

  #take(name: string): string {
    const text = this.#left.get(name) ?? "";
    this.#left.delete(name);
    return text;
  }
}

function compressionOf(text: string): ImageForm["compression"] {
  if (text === "gzip" || text === "zstd" || text === "uncompressed") return text;
  throw refused(`output with compression=${text} is`);
}

/** Older clients name one exporter, newer ones a list. */
export function outputsOf({ exporter, exporterAttrs, exporters }: control.SolveRequest): BuildOutput[] {
  if (exporters.length > 0) return exporters.map(({ type, attrs }) => ({ type, attributes: attrs }));
  return exporter === "" ? [] : [{ type: exporter, attributes: exporterAttrs }];
}

function refused(what: string): EngineError {
  return new EngineError("not-implemented", `${what} not implemented by Berth`);
}

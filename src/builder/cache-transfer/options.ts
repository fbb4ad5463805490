import { EngineError, messageOf } from "../../errors/mod.ts";
import { type Digest, isDigest, parseReference, type Reference, withDefaultTag } from "../../oci/mod.ts";
import { type CacheOption, cacheKind } from "../../wire/mod.ts";

export type CacheSource =
  | { readonly kind: "registry"; readonly ref: Reference; readonly name: string }
  | { readonly kind: "local"; readonly directory: string; readonly manifest: Digest; readonly name: string };

export interface CacheTarget {
  readonly place:
    | { readonly kind: "registry"; readonly ref: Reference }
    | { readonly kind: "local"; readonly directory: string };
  /** Steps of the result alone, or all that were needed. */
  readonly mode: "min" | "max";
  readonly compression: "gzip" | "uncompressed";
  /** An image's manifest, or an index. */
  readonly form: "manifest" | "index";
  /** Docker's media types, where they are not to be OCI's. */
  readonly docker: boolean;
  readonly ignoreError: boolean;
}

/** Throws "not-implemented" for other kinds and attributes, "invalid" for values that are none. */
export function readSource(option: CacheOption): CacheSource {
  const { attributes } = option;
  const fields = new Fields("cache-from", option);
  switch (cacheKind("cache-from", option)) {
    case "registry":
      fields.only(["ref"]);
      return { kind: "registry", ref: fields.reference("ref"), name: attributes["ref"] ?? "" };
    case "local": {
      fields.only(["src", "digest", "tag"]);
      const directory = fields.required("src");
      const manifest = fields.required("digest");
      if (!isDigest(manifest)) throw fields.invalid("digest");
      return { kind: "local", directory, manifest, name: `local:${directory}` };
    }
  }
}

/** As {@link readSource}. */
export function readTarget(option: CacheOption): CacheTarget {
  const fields = new Fields("cache-to", option);
  const common = ["mode", "compression", "force-compression", "image-manifest", "oci-mediatypes", "ignore-error"];
  const kind = cacheKind("cache-to", option);
  fields.only(kind === "registry" ? ["ref", ...common] : ["dest", "tag", ...common]);
  const docker = !fields.flag("oci-mediatypes", true);
  fields.flag("force-compression", false); // all layers have the form that was asked for in any case
  const form = fields.flag("image-manifest", !docker) ? "manifest" : "index";
  if (docker && form === "manifest") throw fields.refused("image-manifest=true and oci-mediatypes=false");
  return {
    place: kind === "registry" ? { kind, ref: fields.reference("ref") } : { kind, directory: fields.required("dest") },
    mode: fields.oneOf("mode", ["min", "max"]),
    compression: fields.oneOf("compression", ["gzip", "uncompressed"]),
    ...{ form, docker, ignoreError: fields.flag("ignore-error", false) },
  };
}

/** Before anything else is done. Throws as {@link readSource}. */
export function requireCaches(caches: {
  readonly cacheImports: readonly CacheOption[];
  readonly cacheExports: readonly CacheOption[];
}): void {
  for (const option of caches.cacheImports) readSource(option);
  for (const option of caches.cacheExports) readTarget(option);
}

class Fields {
  readonly #what: string;
  readonly #option: CacheOption;

  constructor(what: string, option: CacheOption) {
    this.#what = what;
    this.#option = option;
  }

  only(names: readonly string[]): void {
    const other = Object.keys(this.#option.attributes).find((name) => !names.includes(name));
    if (other !== undefined) throw this.refused(other);
  }

  required(name: string): string {
    const value = this.#option.attributes[name];
    if (value) return value;
    throw new EngineError("invalid", `${this.#what} type=${this.#option.type} requires ${name}`);
  }

  reference(name: string): Reference {
    const text = this.required(name);
    try {
      return withDefaultTag(parseReference(text));
    } catch (err) {
      throw new EngineError("invalid", `${this.#what}: ${name}=${text}: ${messageOf(err)}`, { cause: err });
    }
  }

  /** Go's `strconv.ParseBool`. */
  flag(name: string, absent: boolean): boolean {
    const value = this.#option.attributes[name];
    if (value === undefined || value === "") return absent;
    if (/^(?:1|t|true)$/i.test(value)) return true;
    if (/^(?:0|f|false)$/i.test(value)) return false;
    throw this.invalid(name);
  }

  /** The first is what it is when nothing is said. */
  oneOf<T extends string>(name: string, values: readonly [T, ...T[]]): T {
    const value = this.#option.attributes[name];
    if (value === undefined || value === "") return values[0];
    const found = values.find((one) => one === value.toLowerCase());
    if (found) return found;
    throw this.refused(`${name}=${value}`);
  }

  refused(part: string): EngineError {
    const what = `${this.#what} type=${this.#option.type}`;
    return new EngineError("not-implemented", `build with ${what} and ${part} is not implemented by Berth`);
  }

  invalid(name: string): EngineError {
    const value = this.#option.attributes[name];
    return new EngineError("invalid", `${this.#what}: invalid value ${JSON.stringify(value)} for ${name}`);
  }
}

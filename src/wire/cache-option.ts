import { EngineError } from "../errors/mod.ts";

/** A cache that a build reads or writes, such as `type=registry,ref=NAME`. */
export interface CacheOption {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Fields of `NAME=VALUE` with their type among them; a name alone is a registry's (docker buildx build, `--cache-to`). Throws "invalid". */
export function parseCacheOption(text: string): CacheOption {
  if (text === "inline") return { type: text, attributes: {} };
  if (!text.includes("=")) return { type: "registry", attributes: { ref: text } };
  const fields = csv(text).map((field): [string, string] => {
    const at = field.indexOf("=");
    if (at > 0) return [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)];
    throw new EngineError(
      "invalid",
      `invalid value ${JSON.stringify(field)} in ${JSON.stringify(text)}: no name=value`,
    );
  });
  const { type, ...attributes } = Object.fromEntries(fields);
  if (type) return { type, attributes };
  throw new EngineError("invalid", `type is required in ${JSON.stringify(text)}`);
}

/** Kinds of caches beside `inline`, which is in an image. */
export type CacheKind = "registry" | "local";

/** Throws "not-implemented" for other kinds. */
export function cacheKind(what: "cache-from" | "cache-to", { type }: CacheOption): CacheKind {
  if (type === "registry" || type === "local") return type;
  throw new EngineError("not-implemented", `build with ${what} type=${type} is not implemented by Berth`);
}

/** The same as text. */
export function formatCacheOption({ type, attributes }: CacheOption): string {
  const fields = Object.entries({ type, ...attributes }).map(([name, value]) => `${name}=${value}`);
  return fields.map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(",");
}

/** One line of CSV, where quotes keep commas together (`--mount`, `--network`, `--cache-to`). */
export function csv(text: string): string[] {
  const fields = [...text.matchAll(/(?:^|,)("(?:[^"]|"")*"|[^,]*)/g)].map((match) => match[1] ?? "");
  return fields.map((field) => (field.startsWith('"') ? field.slice(1, -1).replace(/""/g, '"') : field));
}

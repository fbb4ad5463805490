import { EngineError, messageOf } from "../errors/mod.ts";
import type { StatusFeed } from "./status.ts";

export interface CacheImport {
  readonly type: string;
  readonly attrs: Readonly<Record<string, string>>;
}

/** Images that a build may take steps from, beside the builder's own cache. Throws "not-implemented" for other kinds of cache. */
export function importedImages(imports: readonly CacheImport[]): string[] {
  return imports.map(({ type, attrs }) => {
    if (type === "registry" && attrs["ref"]) return attrs["ref"];
    throw new EngineError("not-implemented", `build with cache-from type=${type} is not implemented by Berth yet`);
  });
}

/** The frontend's attribute `cache-imports`, and the older `cache-from` with its images separated by commas. Throws "invalid". */
export function parseImports(json: string, images: string): CacheImport[] {
  const old = images.split(",").filter((ref) => ref !== "");
  return [...(json === "" ? [] : decode(json)), ...old.map((ref) => ({ type: "registry", attrs: { ref } }))];
}

function decode(json: string): CacheImport[] {
  try {
    const entries = JSON.parse(json) as { readonly Type?: unknown; readonly Attrs?: Record<string, unknown> | null }[];
    return entries.map(({ Type, Attrs }) => ({
      type: String(Type ?? ""),
      attrs: Object.fromEntries(Object.entries(Attrs ?? {}).map(([name, value]) => [name, String(value)])),
    }));
  } catch (err) {
    throw new EngineError("invalid", `invalid cache-imports: ${messageOf(err)}`, { cause: err });
  }
}

/** As BuildKit does when a cache cannot be had, each is told as a step that failed, and the build goes on without it. */
export function tellImports(images: readonly string[], feed: StatusFeed): void {
  for (const image of images) {
    feed
      .own(`importing cache manifest from ${image}`)
      .end("not implemented by Berth yet: the builder's own cache is used");
  }
}

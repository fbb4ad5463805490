import { EngineError, messageOf } from "../errors/mod.ts";
import type { control } from "../proto/mod.ts";
import { type CacheOption, cacheKind } from "../wire/mod.ts";

/** The frontend's attribute `cache-imports`, and the older `cache-from` with its images separated by commas. Throws "invalid". */
export function parseImports(json: string, images: string): CacheOption[] {
  const old = images.split(",").filter((ref) => ref !== "");
  return [...(json === "" ? [] : decode(json)), ...old.map(registryCache)];
}

export function registryCache(ref: string): CacheOption {
  return { type: "registry", attributes: { ref } };
}

function decode(json: string): CacheOption[] {
  try {
    const entries = JSON.parse(json) as { readonly Type?: unknown; readonly Attrs?: Record<string, unknown> | null }[];
    return entries.map(({ Type, Attrs }) => ({
      type: String(Type ?? ""),
      attributes: Object.fromEntries(Object.entries(Attrs ?? {}).map(([name, value]) => [name, String(value)])),
    }));
  } catch (err) {
    throw new EngineError("invalid", `invalid cache-imports: ${messageOf(err)}`, { cause: err });
  }
}

export interface RequestCaches {
  readonly cacheImports: readonly CacheOption[];
  readonly cacheExports: readonly CacheOption[];
  readonly inlineCache: boolean;
}

/** What a request says itself, and `imports` of its frontend, which clients say again there. Throws "not-implemented" for other kinds. */
export function requestCaches(
  { cache }: Pick<control.SolveRequest, "cache">,
  imports: readonly CacheOption[],
): RequestCaches {
  const { exports = [], exportRef = "", imports: own = [], importRefs = [] } = cache ?? {};
  const all = [...imports, ...own.map(optionOf), ...importRefs.map(registryCache)];
  const once = new Map(all.map((option) => [keyOf(option), option]));
  for (const option of all) cacheKind("cache-from", option);
  const to = [...exports.map(optionOf), ...(exportRef === "" ? [] : [registryCache(exportRef)])];
  const cacheExports = to.filter(({ type }) => type !== "inline");
  for (const option of cacheExports) cacheKind("cache-to", option);
  return {
    cacheImports: [...once.values()],
    cacheExports,
    inlineCache: to.some(({ type }) => type === "inline"),
  };
}

export function optionOf({
  type,
  attrs,
}: {
  readonly type: string;
  readonly attrs: Record<string, string>;
}): CacheOption {
  return { type, attributes: attrs };
}

function keyOf({ type, attributes }: CacheOption): string {
  return JSON.stringify([type, Object.entries(attributes).sort()]);
}

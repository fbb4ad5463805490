import { EngineError } from "../../errors/mod.ts";
import { listOf } from "../../flags/mod.ts";

type Filter = readonly [key: string, value: string];

/** The `--filter KEY=VALUE` flag of lists and prunes. */
export function filterFlag(help: string, options: { readonly short?: "f" } = {}) {
  return listOf<Filter>(help, { ...options, placeholder: "KEY=VALUE", parse: parseFilter });
}

function parseFilter(given: string): Filter {
  const at = given.indexOf("=");
  if (at < 0) throw new EngineError("invalid", "bad format of filter (expected name=value)");
  return [given.slice(0, at).trim().toLowerCase(), given.slice(at + 1).trim()];
}

/** As the API wants them; undefined when there are none. */
export function filtersOf(given: readonly Filter[]): string | undefined {
  const filters: Record<string, string[]> = {};
  for (const [key, value] of given) filters[key] = [...(filters[key] ?? []), value];
  return given.length === 0 ? undefined : JSON.stringify(filters);
}

import { EngineError, isKind, messageOf } from "../errors/mod.ts";
import { linksOf } from "./links/links.ts";
import type { ContainerTable, Row } from "./table.ts";

/** The container that an id, a name, a link's name or an unambiguous id prefix means. Throws "not-found", "invalid" (ambiguous). */
export function resolve(table: ContainerTable, ref: string): Row {
  const bare = ref.startsWith("/") ? ref.slice(1) : ref;
  const exact = table.get(ref) ?? table.named(bare) ?? linked(table, bare);
  if (exact) return exact;
  const found = /^[0-9a-f]+$/.test(ref) ? byPrefix(table, ref) : [];
  const [first, second] = found;
  if (second) throw new EngineError("invalid", `Multiple IDs found with provided prefix: ${ref}`);
  if (!first) throw new EngineError("not-found", `No such container: ${ref}`);
  return first;
}

/**
 * The container that a request to create another one names. Throws "invalid" for one that is not there: clients take
 * "not-found" of a create for a missing image, and pull it.
 */
export function resolveOther(table: ContainerTable, ref: string): Row {
  try {
    return resolve(table, ref);
  } catch (err) {
    throw isKind(err, "not-found") ? new EngineError("invalid", messageOf(err)) : err;
  }
}

/** `OWNER/ALIAS`: what a link of the owner leads to. */
function linked(table: ContainerTable, ref: string): Row | undefined {
  const at = ref.indexOf("/");
  const owner = at < 0 ? undefined : table.named(ref.slice(0, at));
  const link = owner && linksOf(owner).find(({ alias }) => alias === ref.slice(at + 1));
  return link && table.get(link.id);
}

function byPrefix(table: ContainerTable, prefix: string): Row[] {
  const found: Row[] = [];
  for (const row of table.all()) if (row.id.startsWith(prefix)) found.push(row);
  return found;
}

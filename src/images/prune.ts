import { isKind } from "../errors/mod.ts";
import { familiar, type ImageConfig, parseReference } from "../oci/mod.ts";
import { type Filters, filterFlag, type ImageDeleteItem, requireFilters } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { testsOf } from "./filters.ts";
import { removeRows } from "./remove.ts";
import { allImages, type ImageRow, namesOf, parents } from "./table.ts";

/** Removes images without tags, or with `dangling=false` all that no container uses. What cannot be removed is left in peace. */
export async function pruneImages(
  context: Context,
  filter: Filters,
): Promise<{ deleted: ImageDeleteItem[]; reclaimed: number }> {
  requireFilters(filter, ["dangling", "label", "label!", "until"]);
  const targets = pruneTargets(context, filter);
  const deleted: ImageDeleteItem[] = [];
  let reclaimed = 0;
  for (const target of targets) {
    try {
      const { items, bytes } = await removeRows(context, target, { force: false, prune: true });
      deleted.push(...items);
      reclaimed += bytes;
    } catch (err) {
      if (!isKind(err, "conflict") && !isKind(err, "not-found")) throw err;
    }
  }
  const attributes = { reclaimed: String(reclaimed) };
  context.events.publish({ type: "image", action: "prune", id: "", attributes });
  return { deleted, reclaimed };
}

/** The names to remove one by one, or the ids of images without any. */
function pruneTargets(context: Context, filter: Filters): string[] {
  const danglingOnly = filterFlag(filter, "dangling") ?? true;
  return context.db.read((q) => {
    const tests = testsOf(q, filter);
    const steps = parents(q);
    const wanted = (row: ImageRow) => {
      const names = namesOf(q, row.id);
      if (danglingOnly && (steps.has(row.id) || names.some((name) => name.is_digest === 0))) return false;
      if (names.length === 0 && steps.has(row.id)) return false;
      if (context.users(row.id).length > 0) return false;
      const labels = (JSON.parse(row.config) as ImageConfig).config?.Labels ?? {};
      return tests.every((test) => test({ row, names, labels }));
    };
    return allImages(q)
      .filter(wanted)
      .flatMap((row) => {
        const names = namesOf(q, row.id).map((name) => familiar(parseReference(name.name)));
        return names.length > 0 ? names : [row.id];
      });
  });
}

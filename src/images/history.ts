import type { Query } from "../db/mod.ts";
import type { ImageConfig } from "../oci/mod.ts";
import type { ImageHistoryItem } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { requireRow } from "./find.ts";
import { repoNames } from "./list.ts";
import { type ImageRow, imageById, layersOf, namesOf } from "./table.ts";

/** Newest step first, from the config; steps whose image is known here carry its id and tags, others `<missing>`. */
export function imageHistory({ db }: Context, refOrId: string): ImageHistoryItem[] {
  return db.read((q) => {
    const row = requireRow(q, refOrId);
    const items = itemsOf(q, row).reverse();
    for (let at: ImageRow | undefined = row; at; at = at.parent ? imageById(q, at.parent) : undefined) {
      const index = items.length - steps(at);
      const item = items[index];
      if (!item) continue;
      const { RepoTags } = repoNames(namesOf(q, at.id));
      items[index] = { ...item, Id: at.id, Tags: RepoTags.length > 0 ? RepoTags : null };
    }
    return items;
  });
}

/** An image may be several steps away from its parent: its own last one is as far from the oldest as its history is long. */
function steps({ config }: ImageRow): number {
  return ((JSON.parse(config) as ImageConfig).history ?? []).length;
}

function itemsOf(q: Query, row: ImageRow): ImageHistoryItem[] {
  const config = JSON.parse(row.config) as ImageConfig;
  const sizes = layersOf(q, row.id).map((layer) => layer.size);
  return (config.history ?? []).map((entry) => ({
    Id: "<missing>",
    Created: entry.created ? Math.floor(Date.parse(entry.created) / 1000) : 0,
    CreatedBy: entry.created_by ?? "",
    Tags: null,
    Size: entry.empty_layer ? 0 : (sizes.shift() ?? 0),
    Comment: entry.comment ?? "",
  }));
}

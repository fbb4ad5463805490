import type { ContentStore } from "../content/mod.ts";
import type { Db, Query, Tx } from "../db/mod.ts";
import type { Events } from "../events/mod.ts";
import type { Collector, Leases } from "../gc/mod.ts";
import type { Layers } from "../layers/mod.ts";
import type { Log } from "../log/mod.ts";
import { canonical, type Digest, type ImageConfig, type Reference } from "../oci/mod.ts";
import type { Snapshotter } from "../snapshots/mod.ts";
import type { Image, ImageUser } from "./images.ts";
import { type ImageRow, type NameRow, namesOf } from "./table.ts";

/** What the verbs of images work with. */
export interface Context {
  readonly db: Db;
  readonly content: ContentStore;
  readonly snapshots: Pick<Snapshotter, "usage">;
  readonly layers: Pick<Layers, "chain" | "unpack" | "verify">;
  readonly leases: Leases;
  readonly collector: Collector;
  readonly events: Events;
  readonly log: Log;
  /** Containers that use an image; set by `onUse`. */
  users(id: Digest): readonly ImageUser[];
}

export function imageOf(q: Query, row: ImageRow): Image {
  const config = JSON.parse(row.config) as ImageConfig;
  return { id: row.id, config, run: config.config ?? {}, names: tagsOf(namesOf(q, row.id)) };
}

/** Canonical names with a tag. */
export function tagsOf(names: readonly NameRow[]): string[] {
  return names.filter((row) => row.is_digest === 0).map((row) => row.name);
}

/** The row for a name: of its tag, or of its digest when it has no tag. */
export function nameRow(ref: Reference, image: Digest): NameRow {
  const { domain, path } = ref;
  const name = canonical(ref.tag ? { domain, path, tag: ref.tag } : ref);
  return { name, repository: `${domain}/${path}`, is_digest: ref.tag ? 0 : 1, image };
}

export interface ImageEvent {
  readonly action: string;
  /** Actor.ID: the image's id, or for push and pull the familiar name. */
  readonly id: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>> | null | undefined;
}

/** Says it once the transaction holds. Labels are attributes, the name wins over a label of that key (moby `LogImageEvent`). */
export function announce(context: Context, tx: Tx, event: ImageEvent): void {
  const { action, id, name, labels } = event;
  tx.afterCommit(() => context.events.publish({ type: "image", action, id, attributes: { ...labels, name } }));
}

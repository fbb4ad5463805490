import type { Tx } from "../db/mod.ts";
import { EngineError, isKind } from "../errors/mod.ts";
import {
  canonical,
  type Digest,
  familiar,
  hexOf,
  type ImageConfig,
  parseReference,
  withDefaultTag,
} from "../oci/mod.ts";
import type { ImageDeleteItem } from "../wire/mod.ts";
import { announce, type Context, tagsOf } from "./context.ts";
import { isIdPrefix, requireRow } from "./find.ts";
import {
  childrenOf,
  deleteImage,
  deleteName,
  type ImageRow,
  imageById,
  layersOf,
  type NameRow,
  namesOf,
} from "./table.ts";

export interface RemoveOptions {
  readonly force: boolean;
  readonly prune: boolean;
}

/** A removal in progress: what was done so far, and the layers that may be gone with it, top first. */
interface Removal {
  readonly context: Context;
  readonly tx: Tx;
  readonly items: ImageDeleteItem[];
  readonly chains: { readonly snapshot: string | undefined; readonly chain: Digest }[];
}

/**
 * Removes a name, or the image and all its names (moby `daemon/images/image_delete.go`, whose rules and words these are).
 * Rows go in one transaction, blobs and snapshots after it.
 */
export async function removeImage(
  context: Context,
  refOrId: string,
  options: RemoveOptions,
): Promise<ImageDeleteItem[]> {
  return (await removeRows(context, refOrId, options)).items;
}

/** See `Images.discard`. */
export async function discardImage(context: Context, id: Digest): Promise<void> {
  if (context.db.read((q) => tagsOf(namesOf(q, id))).length > 0) return;
  try {
    await removeImage(context, id, { force: false, prune: true });
  } catch (err) {
    if (!isKind(err, "conflict") && !isKind(err, "not-found")) throw err;
  }
}

/** {@link removeImage}, with the bytes that it freed. */
export async function removeRows(
  context: Context,
  refOrId: string,
  options: RemoveOptions,
): Promise<{ items: ImageDeleteItem[]; bytes: number }> {
  const { items, chains } = context.db.write((tx) => {
    const removal: Removal = { context, tx, items: [], chains: [] };
    removeWhatIsMeant(removal, refOrId, options);
    return removal;
  });
  if (!items.some((item) => item.Deleted)) return { items, bytes: 0 };
  const gone = await context.collector.collect();
  const snapshots = new Set(gone.snapshots);
  const layers = chains.filter(({ snapshot }) => snapshot !== undefined && snapshots.has(snapshot));
  return { items: [...items, ...layers.map(({ chain }) => ({ Deleted: chain }))], bytes: gone.bytes };
}

function removeWhatIsMeant(removal: Removal, refOrId: string, options: RemoveOptions): void {
  const { tx } = removal;
  const row = requireRow(tx, refOrId);
  if (isIdPrefix(row.id, refOrId)) {
    const names = namesOf(tx, row.id);
    if (inOneRepository(names)) {
      refuse(conflictOf(removal, row, { soft: !options.force, names: false }), row.id);
      for (const name of names) untag(removal, row, name);
    }
    deleteRow(removal, row, { ...options, quiet: false });
    return;
  }
  removeName(removal, row, { refOrId, force: options.force });
  if (namesOf(tx, row.id).length === 0) deleteRow(removal, row, { ...options, quiet: true });
}

function removeName(removal: Removal, row: ImageRow, { refOrId, force }: { refOrId: string; force: boolean }): void {
  const { context, tx } = removal;
  const names = namesOf(tx, row.id);
  const parsed = parseReference(refOrId);
  const { domain, path, digest } = parsed;
  const wanted = canonical(digest ? { domain, path, digest } : withDefaultTag(parsed));
  const user = context.users(row.id)[0];
  if (!force && user && inOneRepository(names)) {
    const [container, image] = [user.containerId.slice(0, 12), hexOf(row.id).slice(0, 12)];
    throw new EngineError(
      "conflict",
      `conflict: unable to remove repository reference ${JSON.stringify(refOrId)} (must force) - container ${container} is using its referenced image ${image}`,
    );
  }
  const removed = names.find((name) => name.name === wanted);
  if (removed) untag(removal, row, removed);
  const rest = names.filter((name) => name !== removed && name.repository === removed?.repository);
  if (removed?.is_digest === 0 && rest.every((name) => name.is_digest === 1)) {
    for (const name of rest) untag(removal, row, name);
  }
}

interface DeleteOptions extends RemoveOptions {
  /** A name was removed already, so a conflict is no error: the rest stays. */
  readonly quiet: boolean;
}

function deleteRow(removal: Removal, row: ImageRow, options: DeleteOptions): void {
  const { tx, items } = removal;
  const conflict = conflictOf(removal, row, { soft: !options.force, names: true });
  if (conflict && options.quiet) return;
  refuse(conflict, row.id);
  for (const name of namesOf(tx, row.id)) untag(removal, row, name);
  rememberLayers(removal, row);
  deleteImage(tx, row.id);
  items.push({ Deleted: row.id });
  announce(removal.context, tx, { action: "delete", id: row.id, name: row.id, labels: labelsOf(row) });
  const parent = options.prune && row.parent ? imageById(tx, row.parent) : undefined;
  if (parent && namesOf(tx, parent.id).length === 0)
    deleteRow(removal, parent, { force: false, prune: true, quiet: true });
}

function untag(removal: Removal, row: ImageRow, name: NameRow): void {
  deleteName(removal.tx, name.name);
  removal.items.push({ Untagged: familiar(parseReference(name.name)) });
  announce(removal.context, removal.tx, { action: "untag", id: row.id, name: row.id, labels: labelsOf(row) });
}

function rememberLayers({ context, tx, chains }: Removal, row: ImageRow): void {
  for (const { chain } of layersOf(tx, row.id).reverse()) {
    if (!chains.some((known) => known.chain === chain)) chains.push({ chain, snapshot: context.layers.chain(chain) });
  }
}

interface Conflict {
  readonly hard: boolean;
  readonly reason: string;
}

/** Why the image must stay. `soft`: also what `force` overrides; `names`: names are a reason, too. */
function conflictOf(removal: Removal, row: ImageRow, check: { soft: boolean; names: boolean }): Conflict | undefined {
  if (childrenOf(removal.tx, row.id).length > 0) return { hard: true, reason: "image has dependent child images" };
  const users = removal.context.users(row.id);
  const running = users.find((user) => user.running);
  if (running)
    return { hard: true, reason: `image is being used by running container ${running.containerId.slice(0, 12)}` };
  if (!check.soft) return undefined;
  if (check.names && namesOf(removal.tx, row.id).length > 0) {
    return { hard: false, reason: "image is referenced in multiple repositories" };
  }
  const [stopped] = users;
  return (
    stopped && { hard: false, reason: `image is being used by stopped container ${stopped.containerId.slice(0, 12)}` }
  );
}

function refuse(conflict: Conflict | undefined, id: Digest): void {
  if (!conflict) return;
  const must = conflict.hard ? "cannot be forced" : "must be forced";
  const short = hexOf(id).slice(0, 12);
  throw new EngineError("conflict", `conflict: unable to delete ${short} (${must}) - ${conflict.reason}`);
}

/** One tag at most, or several names that are all in one repository (moby `isSingleReference`). */
function inOneRepository(names: readonly NameRow[]): boolean {
  const tags = names.filter((name) => name.is_digest === 0).length;
  return tags <= 1 && new Set(names.map((name) => name.repository)).size <= 1;
}

function labelsOf(row: ImageRow): Readonly<Record<string, string>> | null | undefined {
  return (JSON.parse(row.config) as ImageConfig).config?.Labels;
}

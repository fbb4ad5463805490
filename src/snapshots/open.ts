import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Db, Query, Tx } from "../db/mod.ts";
import { EngineError, wrap } from "../errors/mod.ts";
import { createMounts, type Mount, type Mounts, removeTree, usageOf, type Workers } from "../host/mod.ts";
import { overlayMount, probeOverlay } from "./overlay.ts";
import type { DroppedSnapshot, SnapshotInfo, Snapshotter } from "./snapshots.ts";
import {
  chainOf,
  childOf,
  commitSnapshot,
  deleteSnapshot,
  deleteUnreferenced,
  insertSnapshot,
  listSnapshots,
  requireSnapshot,
  type SnapshotRow,
  snapshotInfo,
  snapshotStates,
  storeUsage,
} from "./table.ts";

export interface SnapshotsOptions {
  readonly db: Db;
  /** Owned by the snapshotter alone; made when missing. */
  readonly directory: string;
  readonly workers: Workers;
  /** With what overlayfs is tried at the start; default: the host's. */
  readonly mounts?: Mounts;
}

/** Throws "unavailable" where overlayfs does not work, saying what to do. */
export async function openSnapshots(options: SnapshotsOptions): Promise<Snapshotter> {
  await mkdir(join(options.directory, "s"), { recursive: true, mode: 0o700 });
  const switches = await probeOverlay(options.directory, options.mounts ?? createMounts());
  const snapshotter = new OverlaySnapshotter(options, switches);
  await snapshotter.sweep();
  return snapshotter;
}

class OverlaySnapshotter implements Snapshotter {
  readonly #db: Db;
  readonly #root: string;
  readonly #workers: Workers;
  /** Overlay options that every mount gets. */
  readonly #switches: readonly string[];
  /** Rows whose directories are being made, which `sweep` must not take for remains of a crash. */
  readonly #preparing = new Set<number>();
  readonly #used = new Map<string, number>();

  constructor({ db, directory, workers }: SnapshotsOptions, switches: readonly string[]) {
    this.#db = db;
    this.#root = join(directory, "s");
    this.#workers = workers;
    this.#switches = switches;
  }

  info(name: string): SnapshotInfo | undefined {
    const found = this.#db.read((q) => snapshotInfo(q, name));
    if (found) this.#touch(name);
    return found;
  }

  *list(): Iterable<SnapshotInfo> {
    yield* this.#db.read(listSnapshots);
  }

  async prepare(key: string, parent?: string): Promise<Mount[]> {
    const { id, parentId } = this.#db.write((tx) => {
      const parentId = parent === undefined ? null : requireCommitted(tx, parent).id;
      const id = insertSnapshot(tx, { key, parent: parentId });
      this.#preparing.add(id);
      return { id, parentId };
    });
    this.#touch(key);
    try {
      await this.#makeDirectories(id, parentId);
    } catch (err) {
      this.#db.write((tx) => deleteSnapshot(tx, id));
      await this.#removeFiles(id);
      throw err;
    } finally {
      this.#preparing.delete(id);
    }
    return this.mounts(key);
  }

  /** `work` comes last: where it is, `fs` is complete. */
  async #makeDirectories(id: number, parentId: number | null): Promise<void> {
    await mkdir(this.#directory(id), { mode: 0o711 });
    const fs = this.#fs(id);
    // The root of the merged tree shows the upper's attributes, so they are the parent's, as for any directory below it.
    const like = parentId === null ? { mode: 0o755, uid: 0, gid: 0 } : await stat(this.#fs(parentId));
    await mkdir(fs);
    await chown(fs, like.uid, like.gid);
    await chmod(fs, like.mode & 0o7777);
    await mkdir(this.#work(id), { mode: 0o700 });
  }

  async view(parent: string, { at = this.#root }: { readonly at?: string } = {}): Promise<Mount[]> {
    const chain = this.#db.read((q) => chainOf(q, requireCommitted(q, parent).id));
    this.#touch(parent);
    const lower = chain.map((id) => join(at, name36(id), "fs"));
    const [top] = lower;
    if (lower.length === 1 && top !== undefined) return [{ type: "bind", source: top, options: ["bind", "ro"] }];
    return [overlayMount({ lower, options: ["ro", ...this.#switches] })];
  }

  get root(): string {
    return this.#root;
  }

  mounts(key: string, { at = this.#root }: { readonly at?: string } = {}): Mount[] {
    const { row, lower } = this.#db.read((q) => {
      const row = requireActive(q, key);
      return { row, lower: chainOf(q, row.parent) };
    });
    this.#touch(key);
    const fs = (id: number) => join(at, name36(id), "fs");
    if (lower.length === 0) return [{ type: "bind", source: fs(row.id), options: ["bind"] }];
    const parts = { upper: fs(row.id), work: join(at, name36(row.id), "work"), options: this.#switches };
    return [overlayMount({ lower: lower.map(fs), ...parts })];
  }

  /**
   * The files are not synced: after a power failure a layer can be unpacked again from its blob, and the time that a sync
   * of thousands of files takes would be paid for every layer of every pull.
   */
  async commit(name: string, key: string): Promise<void> {
    this.#db.write((tx) => commitSnapshot(tx, requireActive(tx, key).id, name));
    this.#used.delete(key);
    this.#touch(name);
  }

  async remove(name: string): Promise<void> {
    if (!this.#db.read((q) => snapshotInfo(q, name))) return;
    const id = this.#db.write((tx) => {
      const row = requireSnapshot(tx, name);
      const child = childOf(tx, row.id);
      if (child !== undefined) throw new EngineError("conflict", `Snapshot ${name} is the parent of ${child}`);
      deleteSnapshot(tx, row.id);
      return row.id;
    });
    this.#used.delete(name);
    await this.#removeFiles(id);
  }

  async usage(name: string): Promise<{ bytes: number; inodes: number }> {
    const row = this.#db.read((q) => requireSnapshot(q, name));
    if (row.bytes !== null && row.inodes !== null) return { bytes: row.bytes, inodes: row.inodes };
    const usage = await this.#usageOf(row.id);
    if (row.state === "committed") this.#db.write((tx) => storeUsage(tx, row.id, usage));
    return usage;
  }

  directory(name: string): string {
    const { id } = this.#db.read((q) => requireSnapshot(q, name));
    this.#touch(name);
    return this.#fs(id);
  }

  /** Directories are listed before rows are read, and rows come first and numbers never again: what has no row is garbage. */
  async sweep(): Promise<void> {
    const directories = await readdir(this.#root);
    const rows = new Map(this.#db.read(snapshotStates).map((row) => [name36(row.id), row]));
    for (const [name, { id, state }] of rows) {
      if (state !== "active" || this.#preparing.has(id) || existsSync(join(this.#root, name, "work"))) continue;
      this.#db.write((tx) => deleteSnapshot(tx, id));
      rows.delete(name);
    }
    const garbage = directories.filter((name) => !rows.has(name));
    // What cannot be deleted now (an immutable file, say) is no reason not to start; it is tried again at the next sweep.
    for (const name of garbage) await this.#removeTree(join(this.#root, name)).catch(() => undefined);
  }

  usedSince(since: number): string[] {
    return [...this.#used].filter(([, at]) => at >= since).map(([name]) => name);
  }

  dropUnreferenced(tx: Tx, roots: Iterable<string>): DroppedSnapshot[] {
    const dropped = deleteUnreferenced(tx, roots);
    tx.afterCommit(() => {
      for (const { name } of dropped) this.#used.delete(name);
    });
    return dropped;
  }

  /** One that cannot be deleted does not keep the others from being deleted. */
  async deleteDropped(dropped: readonly DroppedSnapshot[]): Promise<number> {
    const results = await Promise.allSettled(dropped.map(({ id }) => this.#deleteCounted(id)));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw wrap(failed.reason, "Delete snapshots");
    return results.reduce((sum, result) => (result.status === "fulfilled" ? sum + result.value : sum), 0);
  }

  async #deleteCounted(id: number): Promise<number> {
    if (!existsSync(this.#fs(id))) return 0; // a preparation that was cut off
    const { bytes } = await this.#usageOf(id);
    await this.#removeFiles(id);
    return bytes;
  }

  #touch(name: string): void {
    this.#used.set(name, performance.now());
  }

  #usageOf(id: number): Promise<{ bytes: number; inodes: number }> {
    return this.#workers.run(usageOf, { path: this.#fs(id) });
  }

  #removeFiles(id: number): Promise<void> {
    return this.#removeTree(this.#directory(id));
  }

  #removeTree(path: string): Promise<void> {
    return this.#workers.run(removeTree, { path });
  }

  #directory(id: number): string {
    return join(this.#root, name36(id));
  }

  #fs(id: number): string {
    return join(this.#directory(id), "fs");
  }

  #work(id: number): string {
    return join(this.#directory(id), "work");
  }
}

/** Short, so that the mount options of many layers fit into a page. */
function name36(id: number): string {
  return id.toString(36);
}

function requireCommitted(q: Query, name: string): SnapshotRow {
  const row = requireSnapshot(q, name);
  if (row.state !== "committed") throw new EngineError("conflict", `Snapshot ${name} is not committed`);
  return row;
}

function requireActive(q: Query, key: string): SnapshotRow {
  const row = requireSnapshot(q, key);
  if (row.state !== "active") throw new EngineError("conflict", `Snapshot ${key} is already committed`);
  return row;
}

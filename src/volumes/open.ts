import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { KeyedLock } from "../async/mod.ts";
import type { Db, Query, Tx } from "../db/mod.ts";
import { EngineError, isKind } from "../errors/mod.ts";
import type { Events } from "../events/mod.ts";
import { removeTree, usageOf, type Workers } from "../host/mod.ts";
import type { Filters, VolumeCreateBody, VolumeInspect } from "../wire/mod.ts";
import { type FillPaths, fill, fillPaths, finish } from "./fill.ts";
import { listFilter, pruneFilter } from "./filter.ts";
import { volumeRow } from "./request.ts";
import {
  addHolder,
  deleteVolume,
  findVolume,
  heldVolumes,
  holdersOf,
  insertVolume,
  listVolumes,
  removeHolder,
  type VolumeRow,
} from "./table.ts";
import type { VolumeLease, Volumes } from "./volumes.ts";

export interface VolumesOptions {
  readonly db: Db;
  /** Owned by the volumes alone; made when missing. */
  readonly directory: string;
  readonly workers: Workers;
  readonly events: Pick<Events, "publish">;
}

export async function openVolumes(options: VolumesOptions): Promise<Volumes> {
  await mkdir(options.directory, { recursive: true });
  // Not searchable for others: a program in a volume that makes its user root is not for the host's users.
  await chmod(options.directory, 0o700);
  const volumes = new LocalVolumes(options);
  await volumes.sweep();
  return volumes;
}

/** No volume can have such a name, so that a removed one never stands in the way of a new one. */
const removedPrefix = ".removed-";

class LocalVolumes implements Volumes {
  readonly #db: Db;
  readonly #root: string;
  readonly #workers: Workers;
  readonly #events: VolumesOptions["events"];
  /** By name: making, filling and removing a volume's directory take turns. */
  readonly #lock = new KeyedLock();

  constructor({ db, directory, workers, events }: VolumesOptions) {
    this.#db = db;
    this.#root = directory;
    this.#workers = workers;
    this.#events = events;
  }

  async create(request: VolumeCreateBody): Promise<VolumeInspect> {
    const row = volumeRow(request);
    return await this.#lock.run(row.name, async () => {
      const existing = this.#db.read((q) => findVolume(q, row.name));
      if (existing) return this.#inspect(existing);
      this.#db.write((tx) => insertVolume(tx, row));
      try {
        await this.#makeDirectory(row.name);
      } catch (err) {
        this.#db.write((tx) => deleteVolume(tx, row.name));
        throw err;
      }
      this.#publish("create", row);
      return this.#inspect(row);
    });
  }

  async #makeDirectory(name: string): Promise<void> {
    const { data } = this.#paths(name);
    await mkdir(join(this.#root, name), { recursive: true, mode: 0o700 });
    await mkdir(data, { recursive: true });
    await chmod(data, 0o755);
  }

  get(name: string): VolumeInspect {
    return this.#inspect(this.#db.read((q) => requireVolume(q, name)));
  }

  list(filter: Filters): VolumeInspect[] {
    const matches = listFilter(filter);
    const { rows, held } = this.#db.read((q) => ({ rows: listVolumes(q), held: heldVolumes(q) }));
    return rows.filter((row) => matches(row, held.has(row.name))).map((row) => this.#inspect(row));
  }

  async remove(name: string, force: boolean): Promise<void> {
    try {
      await this.#lock.run(name, () => this.#remove(name));
    } catch (err) {
      if (!force || !isKind(err, "not-found")) throw err;
    }
  }

  /** The row goes first; the directory is out of the way with one rename, and its files go in a worker. */
  async #remove(name: string): Promise<void> {
    const row = this.#db.write((tx) => {
      const row = requireVolume(tx, name);
      requireUnheld(tx, name);
      deleteVolume(tx, name);
      return row;
    });
    const removed = join(this.#root, `${removedPrefix}${randomBytes(8).toString("hex")}`);
    const directory = join(this.#root, name);
    const there = existsSync(directory); // not if somebody deleted it by hand
    if (there) await rename(directory, removed);
    this.#publish("destroy", row);
    if (there) await this.#workers.run(removeTree, { path: removed });
  }

  /** The row that says who holds it comes first, so that a removal at the same time is refused. */
  async acquire(name: string, holder: string): Promise<VolumeLease> {
    const added = this.#db.write((tx) => {
      requireVolume(tx, name);
      return addHolder(tx, name, holder);
    });
    try {
      return await this.#lock.run(name, () => this.#lease(name));
    } catch (err) {
      if (added) this.release(name, holder);
      throw err;
    }
  }

  async #lease(name: string): Promise<VolumeLease> {
    const paths = this.#paths(name);
    await finish(paths, this.#workers);
    return { directory: paths.data, empty: (await readdir(paths.data)).length === 0 };
  }

  release(name: string, holder: string): void {
    this.#db.write((tx) => removeHolder(tx, name, holder));
  }

  holders(name: string): string[] {
    return this.#db.read((q) => holdersOf(q, name));
  }

  async copyUp(name: string, source: string): Promise<void> {
    this.#db.read((q) => requireVolume(q, name));
    await this.#lock.run(name, () => fill(this.#paths(name), source, this.#workers));
  }

  async prune(filter: Filters): Promise<{ deleted: string[]; reclaimed: number }> {
    const matches = pruneFilter(filter);
    const { rows, held } = this.#db.read((q) => ({ rows: listVolumes(q), held: heldVolumes(q) }));
    const deleted: string[] = [];
    let reclaimed = 0;
    for (const { name } of rows.filter((row) => matches(row, held.has(row.name)))) {
      const bytes = await this.#removeUnused(name);
      if (bytes === undefined) continue;
      deleted.push(name);
      reclaimed += bytes;
    }
    this.#events.publish({ type: "volume", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
    return { deleted, reclaimed };
  }

  /** The bytes that it had; undefined when somebody came to hold it, or removed it, meanwhile. */
  async #removeUnused(name: string): Promise<number | undefined> {
    try {
      const bytes = await this.usage(name);
      await this.remove(name, false);
      return bytes;
    } catch (err) {
      if (isKind(err, "conflict") || isKind(err, "not-found")) return undefined;
      throw err;
    }
  }

  /** Directories are listed first and each is looked up under its lock, so this is safe at any time. */
  async sweep(): Promise<void> {
    const names = await readdir(this.#root);
    for (const name of names) await this.#lock.run(name, () => this.#sweepDirectory(name));
    const known = new Set(names);
    const missing = this.#db.read(listVolumes).filter(({ name }) => !known.has(name));
    for (const { name } of missing) await this.#lock.run(name, () => this.#sweepRow(name));
  }

  async #sweepDirectory(name: string): Promise<void> {
    if (!this.#db.read((q) => findVolume(q, name))) {
      // What cannot be deleted now (an immutable file, say) is no reason not to start; it is tried again at the next sweep.
      await this.#workers.run(removeTree, { path: join(this.#root, name) }).catch(() => undefined);
      return;
    }
    await this.#makeDirectory(name);
    await finish(this.#paths(name), this.#workers);
  }

  async #sweepRow(name: string): Promise<void> {
    if (this.#db.read((q) => findVolume(q, name))) await this.#makeDirectory(name);
  }

  async usage(name: string): Promise<number> {
    this.#db.read((q) => requireVolume(q, name));
    return (await this.#workers.run(usageOf, { path: this.#paths(name).data })).bytes;
  }

  #paths(name: string): FillPaths {
    return fillPaths(join(this.#root, name));
  }

  #inspect(row: VolumeRow): VolumeInspect {
    return {
      Name: row.name,
      Driver: row.driver,
      Mountpoint: this.#paths(row.name).data,
      CreatedAt: new Date(row.created).toISOString().replace(/\.\d+Z$/, "Z"),
      Labels: Object.keys(row.labels).length > 0 ? row.labels : null,
      Scope: "local",
      Options: null,
    };
  }

  #publish(action: "create" | "destroy", row: VolumeRow): void {
    this.#events.publish({ type: "volume", action, id: row.name, attributes: { driver: row.driver } });
  }
}

function requireVolume(q: Query, name: string): VolumeRow {
  const row = findVolume(q, name);
  if (!row) throw new EngineError("not-found", `get ${name}: no such volume`);
  return row;
}

function requireUnheld(tx: Tx, name: string): void {
  const holders = holdersOf(tx, name);
  if (holders.length > 0) {
    throw new EngineError("conflict", `remove ${name}: volume is in use - [${holders.join(", ")}]`);
  }
}

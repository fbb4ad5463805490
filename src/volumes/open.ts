import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { KeyedLock } from "../async/mod.ts";
import type { Db, Tx } from "../db/mod.ts";
import { EngineError, isKind, wrap } from "../errors/mod.ts";
import type { Events } from "../events/mod.ts";
import {
  copyTree,
  createMounts,
  createProcesses,
  type MountInfo,
  type Processes,
  removeTree,
  usageOf,
  type Workers,
} from "../host/mod.ts";
import type { Filters, VolumeCreateBody, VolumeInspect } from "../wire/mod.ts";
import { type FillPaths, fill, fillMounted, fillPaths, finish } from "./fill.ts";
import { listFilter, pruneFilter } from "./filter.ts";
import { inspectVolume, requireSame } from "./inspect.ts";
import { VolumeMounts } from "./mounts/mounts.ts";
import { isMounted, needsMount } from "./mounts/options.ts";
import { cloneRow } from "./moving/clone-row.ts";
import { dropUnfinished, makeFilled } from "./moving/fill-new.ts";
import { type ImportOptions, importInto, importMounted } from "./moving/import.ts";
import { type AlsoRename, renameLocked } from "./moving/rename.ts";
import type { VolumeParts } from "./parts.ts";
import { relabel, volumeRow } from "./request.ts";
import { diskUsage, makeDisk } from "./sized/disk.ts";
import { fillDisk } from "./sized/fill-disk.ts";
import { resizeLocked, restoreLimit } from "./sized/resize.ts";
import { limitOf } from "./sized/size.ts";
import { sweep } from "./sweep.ts";
import {
  addHolder,
  deleteVolume,
  findVolume,
  heldVolumes,
  holdersOf,
  insertVolume,
  jobHolder,
  listReady,
  removeHolder,
  requireVolume,
  type VolumeRow,
} from "./table.ts";
import type { CloneOptions, VolumeHold, VolumeLease, Volumes } from "./volumes.ts";

export interface VolumesOptions {
  readonly db: Db;
  /** Owned by the volumes alone; made when missing. */
  readonly directory: string;
  readonly workers: Workers;
  /** For what a file server that does not answer may keep waiting, so threads of its own; default: `workers`. */
  readonly mounters?: Workers;
  /** Default: this host's mounts. */
  readonly mounted?: () => MountInfo[];
  /** Runs mkfs.ext4; default: this host's. */
  readonly processes?: Pick<Processes, "run">;
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

/** Uses a volume's mount while an image's files are copied in; no container has such an id. */
const fillingUser = "fill";
/** No volume can have such a name, so that a removed one never stands in the way of a new one. */
const removedPrefix = ".removed-";

class LocalVolumes implements Volumes {
  readonly #parts: VolumeParts;
  readonly #db: Db;
  readonly #root: string;
  readonly #workers: Workers;
  readonly #mounters: Workers;
  readonly #mounts: VolumeMounts;
  readonly #events: VolumesOptions["events"];
  /** By name: making, filling and removing a volume's directory take turns. */
  readonly #lock = new KeyedLock();

  constructor(options: VolumesOptions) {
    const { db, directory, workers, mounters = workers, events } = options;
    this.#db = db;
    this.#root = directory;
    this.#workers = workers;
    this.#mounters = mounters;
    const { mounted: list = createMounts().list, processes = createProcesses() } = options;
    this.#mounts = new VolumeMounts({ root: directory, workers: mounters, list });
    this.#events = events;
    this.#parts = {
      ...{ db, root: directory, workers, mounters, mounts: this.#mounts, processes, events, lock: this.#lock },
      making: new Set(),
      makeDirectory: (row) => this.#makeDirectory(row),
    };
  }

  async create(request: VolumeCreateBody): Promise<VolumeInspect> {
    const row = volumeRow(request);
    return await this.#lock.run(row.name, async () => {
      const existing = this.#db.read((q) => findVolume(q, row.name));
      if (existing) return this.#inspect(requireSame(existing, row));
      this.#db.write((tx) => insertVolume(tx, row));
      try {
        await this.#makeDirectory(row);
      } catch (err) {
        await dropUnfinished(this.#parts, row.name);
        throw err;
      }
      this.#publish("create", row);
      return this.#inspect(row);
    });
  }

  async #makeDirectory({ name, options }: Pick<VolumeRow, "name" | "options">): Promise<void> {
    const [home, limit] = [join(this.#root, name), limitOf(options)];
    const { data } = this.#paths(name);
    await mkdir(home, { recursive: true, mode: 0o700 });
    // One that is there keeps the mode that its users gave it.
    if ((await mkdir(data, { recursive: true })) !== undefined) await chmod(data, 0o755);
    if (limit > 0) await makeDisk(home, limit, { processes: this.#parts.processes, workers: this.#mounters });
  }

  get(name: string): VolumeInspect {
    return this.#inspect(this.#db.read((q) => requireVolume(q, name)));
  }

  list(filter: Filters): VolumeInspect[] {
    const matches = listFilter(filter);
    const { rows, held } = this.#db.read((q) => ({ rows: listReady(q), held: heldVolumes(q) }));
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
    if (needsMount(row.options)) await this.#mounts.clear(name);
    const there = existsSync(directory); // not if somebody deleted it by hand
    if (there) await rename(directory, removed);
    this.#publish("destroy", row);
    if (there) await this.#workers.run(removeTree, { path: removed });
  }

  /** The row that says who holds it comes first, so that a removal at the same time is refused. */
  async acquire(name: string, holder: string): Promise<VolumeLease> {
    const { row, added } = this.#db.write((tx) => ({
      row: requireVolume(tx, name),
      added: addHolder(tx, name, holder),
    }));
    try {
      return await this.#lock.run(name, () => this.#lease(row));
    } catch (err) {
      if (added) await this.release(name, holder);
      throw err;
    }
  }

  async #lease({ name, options }: VolumeRow): Promise<VolumeLease> {
    const paths = this.#paths(name);
    if (needsMount(options)) return { directory: paths.data, empty: true };
    await finish(paths, this.#workers);
    return { directory: paths.data, empty: (await readdir(paths.data)).length === 0 };
  }

  async release(name: string, holder: string): Promise<void> {
    await this.#unmount(name, holder);
    this.#db.write((tx) => removeHolder(tx, name, holder));
  }

  async mount(name: string, user: string): Promise<string> {
    const { data } = this.#paths(name);
    await this.#lock.run(name, async () => {
      const row = this.#db.read((q) => requireVolume(q, name));
      try {
        await this.#mounts.use(row, user);
      } catch (err) {
        throw wrap(err, `error while mounting volume '${data}'`);
      }
    });
    return data;
  }

  async unmountAll(user: string): Promise<void> {
    for (const name of this.#mounts.usedBy(user)) await this.#unmount(name, user);
  }

  async #unmount(name: string, user: string): Promise<void> {
    if (this.#mounts.usersOf(name).includes(user)) await this.#lock.run(name, () => this.#mounts.leave(name, user));
  }

  async recoverMounts(live: ReadonlyMap<string, readonly string[]>): Promise<void> {
    await this.#mounts.recover(live);
    for (const row of this.#db.read(listReady).filter(({ name }) => this.#mounts.isMounted(name))) {
      await this.#lock.run(row.name, () => restoreLimit(this.#parts, row));
    }
  }

  holders(name: string): string[] {
    return this.#db.read((q) => holdersOf(q, name));
  }

  async copyUp(name: string, source: string): Promise<void> {
    const row = this.#db.read((q) => requireVolume(q, name));
    if (limitOf(row.options) > 0 && (await fillDisk(this.#parts, row, source))) return;
    await this.#lock.run(name, () =>
      needsMount(row.options) ? this.#fillMounted(row, source) : fill(this.#paths(name), source, this.#workers),
    );
  }

  async #fillMounted(row: VolumeRow, source: string): Promise<void> {
    await this.#mounts.use(row, fillingUser);
    try {
      await fillMounted(this.#paths(row.name).data, source, this.#mounters);
    } finally {
      await this.#mounts.leave(row.name, fillingUser);
    }
  }

  async prune(filter: Filters): Promise<{ deleted: string[]; reclaimed: number }> {
    const matches = pruneFilter(filter);
    const { rows, held } = this.#db.read((q) => ({ rows: listReady(q), held: heldVolumes(q) }));
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

  async hold(name: string): Promise<VolumeHold> {
    const holder = `${jobHolder}${randomBytes(8).toString("hex")}`;
    await this.acquire(name, holder);
    try {
      return { directory: await this.mount(name, holder), [Symbol.asyncDispose]: () => this.release(name, holder) };
    } catch (err) {
      await this.release(name, holder);
      throw err;
    }
  }

  async rename(from: string, to: string, also: AlsoRename = () => undefined): Promise<void> {
    const [first = from, second = to] = [from, to].sort();
    const body = () => renameLocked(this.#parts, { from, to }, also);
    await this.#lock.run(first, () => (first === second ? body() : this.#lock.run(second, body)));
  }

  async clone(from: string, request: VolumeCreateBody, options: CloneOptions = {}): Promise<VolumeInspect> {
    const row = cloneRow(
      this.#db.read((q) => requireVolume(q, from)),
      request,
    );
    await using source = await this.hold(from);
    await makeFilled(this.#parts, row, async (data) => {
      const { onBytes, signal } = options;
      await this.#mounters.run(
        copyTree,
        { from: source.directory, to: data },
        {
          ...(signal && { signal }),
          onReport: (bytes) => onBytes?.(bytes as number),
        },
      );
    });
    return this.get(row.name);
  }

  async import(name: string, options: ImportOptions): Promise<VolumeInspect> {
    const existing = this.#db.read((q) => findVolume(q, name));
    if (!existing) {
      const request = { Name: name, Driver: "", DriverOpts: {}, Labels: {} };
      await makeFilled(this.#parts, volumeRow(request), options.unpack);
      return this.get(name);
    }
    const holder = `${jobHolder}${randomBytes(8).toString("hex")}`;
    await this.acquire(name, holder);
    try {
      if (isMounted(existing.options)) await importMounted(await this.mount(name, holder), name, options);
      else await importInto(this.#parts, existing, options);
    } finally {
      await this.release(name, holder);
    }
    return this.get(name);
  }

  async resize(name: string, size: string): Promise<VolumeInspect> {
    await this.#lock.run(name, () => resizeLocked(this.#parts, name, size));
    return this.get(name);
  }

  relabel(name: string, labels: Readonly<Record<string, string | null>>): VolumeInspect {
    return this.#inspect(this.#db.write((tx) => relabel(tx, name, labels)));
  }

  async sweep(): Promise<void> {
    await sweep(this.#parts);
  }

  async usage(name: string): Promise<number> {
    const { options } = this.#db.read((q) => requireVolume(q, name));
    if (limitOf(options) > 0) return await diskUsage(join(this.#root, name));
    return (await this.#workers.run(usageOf, { path: this.#paths(name).data })).bytes;
  }

  #paths(name: string): FillPaths {
    return fillPaths(join(this.#root, name));
  }

  #inspect(row: VolumeRow): VolumeInspect {
    return inspectVolume(row, this.#paths(row.name).data);
  }

  #publish(action: "create" | "destroy", row: VolumeRow): void {
    this.#events.publish({ type: "volume", action, id: row.name, attributes: { driver: row.driver } });
  }
}

function requireUnheld(tx: Tx, name: string): void {
  const holders = holdersOf(tx, name);
  if (holders.length > 0) {
    throw new EngineError("conflict", `remove ${name}: volume is in use - [${holders.join(", ")}]`);
  }
}

import { closeSync, constants, existsSync, openSync } from "node:fs";
import { chown, mkdir, rmdir, stat } from "node:fs/promises";
import { posix } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { type Graft, type IdMap, openBelow } from "../host/mod.ts";
import { rootOf, type StagedMount } from "../userns/mod.ts";
import type { Context } from "./context.ts";
import { containerIn, joined } from "./modes.ts";
import type { MountEntry } from "./mount-entry.ts";
import { parseVolumesFrom } from "./mount-plan.ts";
import { pathsOf, snapshotKey } from "./paths.ts";
import { resolve, resolveOther } from "./refs.ts";
import type { Row } from "./table.ts";

/** O_PATH. */
const pathOnly = 0o10000000;

export type SpecMount = StagedMount & { readonly destination: string };

/** Mounts of the containers of `--volumes-from`, shared: they stay theirs, so none is removed with this container. */
export function inheritedMounts(ctx: Context, specs: readonly string[]): MountEntry[] {
  return specs.flatMap((spec) => {
    const { ref, readOnly } = parseVolumesFrom(spec);
    const shared = resolveOther(ctx.table, ref).mounts.filter((entry) => entry.type !== "tmpfs");
    return shared.map((entry) => ({ ...entry, rw: entry.rw && !readOnly, anonymous: false, copyUp: false }));
  });
}

/** Makes the volumes that a plan names, holds them for the container, and returns the mounts with their sources. */
export async function acquireVolumes(ctx: Context, row: Row): Promise<MountEntry[]> {
  const made: MountEntry[] = [];
  for (const entry of row.mounts) made.push(entry.type === "volume" ? await acquire(ctx, { row, entry }) : entry);
  return made;
}

async function acquire(ctx: Context, { row, entry }: { row: Row; entry: MountEntry }): Promise<MountEntry> {
  const name = entry.name ?? "";
  const asked = (row.hostConfig.Mounts ?? []).find((mount) => mount.Target === entry.destination)?.VolumeOptions;
  await ctx.volumes.create({
    Name: name,
    Driver: asked?.DriverConfig?.Name || row.hostConfig.VolumeDriver || "local",
    DriverOpts: asked?.DriverConfig?.Options ?? {},
    Labels: { ...asked?.Labels, ...(entry.anonymous && { "com.docker.volume.anonymous": "" }) },
  });
  const lease = await ctx.volumes.acquire(name, row.id);
  return { ...entry, source: lease.directory, copyUp: entry.copyUp && lease.empty };
}

/** Fills empty volumes with what the image has at their destinations; the root file system must be mounted. */
export async function copyUp(ctx: Context, row: Row): Promise<void> {
  const root = ctx.host.rooted(pathsOf(ctx.config, row.id).rootfs);
  for (const entry of row.mounts) {
    if (!entry.copyUp || entry.name === undefined) continue;
    const source = root.stat(entry.destination)?.type === "directory" ? root.resolve(entry.destination) : undefined;
    if (source !== undefined) await ctx.volumes.copyUp(entry.name, source);
  }
}

/**
 * Mounts the container's own layer on its image's, with owners as users of a user namespace where there is a map; undone by
 * {@link unmountRootfs}.
 */
export async function mountRootfs(ctx: Context, id: string, map?: IdMap): Promise<string> {
  const { rootfs, staged } = pathsOf(ctx.config, id);
  await mkdir(rootfs, { recursive: true, mode: 0o700 });
  if (map) {
    const mounts = (at: string) => ctx.snapshots.mounts(snapshotKey(id), { at });
    const through = [posix.dirname(rootfs), posix.dirname(staged)];
    await ctx.userns.mountMapped({ source: ctx.snapshots.root, target: rootfs, mounts, staged, through, map });
  } else for (const mount of ctx.snapshots.mounts(snapshotKey(id))) ctx.host.mounts.mount(mount, rootfs);
  return rootfs;
}

/** Takes down the root file system, the shared memory and directories inside volumes, whatever of it is there. */
export async function unmountRootfs(ctx: Context, id: string): Promise<void> {
  const { rootfs, shm, staged, subpaths } = pathsOf(ctx.config, id);
  await ctx.userns.unstage(staged);
  for (const target of [rootfs, shm, subpaths]) {
    if (!existsSync(target)) continue;
    ctx.host.mounts.unmount(target, "detach");
    await rmdir(target);
  }
}

/** Throws "invalid" in Docker's words for a bind of `--mount` whose source is missing. */
export async function checkBindSources(mounts: readonly MountEntry[]): Promise<void> {
  for (const { type, source, createSource } of mounts) {
    if (type !== "bind" || createSource) continue;
    if (await exists(source)) continue;
    const why = `bind source path does not exist: ${source}`;
    throw new EngineError("invalid", `invalid mount config for type "bind": ${why}`);
  }
}

/**
 * What the runtime is to mount, parents before what lies in them: the engine's files, unless the user has his own there.
 * `map` is of the container's user namespace.
 */
export async function specMounts(ctx: Context, row: Row, map?: IdMap): Promise<SpecMount[]> {
  await checkBindSources(row.mounts);
  await prepareSubpaths(ctx, row);
  const own = await Promise.all(row.mounts.map((entry) => fromEntry(ctx, { row, entry, map })));
  const taken = new Set(own.map((mount) => mount.destination));
  const engine = [...etcMounts(ctx, row), ...(await shmMounts(ctx, row, map))];
  return parentsFirst([...engine.filter((mount) => !taken.has(mount.destination)), ...own]);
}

function parentsFirst(all: readonly SpecMount[]): SpecMount[] {
  const depth = (path: string) => path.split("/").length;
  return all.toSorted((a, b) => depth(a.destination) - depth(b.destination));
}

/**
 * What of that is there while the container does not run: all but memory. A map must have been given to {@link mountRootfs}
 * before; what is staged for it goes with {@link unmountRootfs}. Throws as {@link specMounts} does.
 */
export async function lastingMounts(ctx: Context, row: Row, map?: IdMap): Promise<Graft[]> {
  await checkBindSources(row.mounts);
  await prepareSubpaths(ctx, row);
  const own = await Promise.all(
    row.mounts.filter(({ type }) => type !== "tmpfs").map((entry) => fromEntry(ctx, { row, entry, map })),
  );
  const taken = new Set(own.map((mount) => mount.destination));
  const engine = ownEtcMounts(ctx, row).filter(({ destination }) => !taken.has(destination));
  const wanted = parentsFirst([...engine, ...own]);
  const mounts = map ? await ctx.userns.stage(wanted, { staged: pathsOf(ctx.config, row.id).staged, map }) : wanted;
  return mounts.map(({ source, destination, options }) => ({
    ...{ source, destination },
    recursive: options.includes("rbind"),
    readOnly: options.includes("ro"),
  }));
}

/** Those that have been written, at its first start. */
function ownEtcMounts(ctx: Context, row: Row): SpecMount[] {
  if (containerIn(row.hostConfig.NetworkMode) !== undefined) return [];
  return etcMounts(ctx, row).filter(({ source }) => existsSync(source));
}

interface Wanted {
  readonly row: Row;
  readonly entry: MountEntry;
  readonly map: IdMap | undefined;
}

async function fromEntry(ctx: Context, { row, entry, map }: Wanted): Promise<SpecMount> {
  const { type, destination, rw } = entry;
  if (type === "tmpfs") {
    const options = ["noexec", "nosuid", "nodev", rw ? "rw" : "ro", ...(entry.tmpfs ?? [])];
    return { destination, type, source: "tmpfs", options: lastWins(options) };
  }
  if (entry.createSource && !(await exists(entry.source))) await makeSource(entry.source, map);
  const source = entry.subpath === undefined ? entry.source : inside(ctx, { row, entry });
  const options = [entry.recursive ? "rbind" : "bind", rw ? "rw" : "ro", entry.propagation || "rprivate"];
  return { destination, type: "bind", source, options, owned: type === "volume" };
}

/** What is made for the container belongs to its root. */
async function makeSource(path: string, map?: IdMap): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined || !map) return;
  const { uid, gid } = rootOf(map);
  for (let at = path; at.length >= first.length; at = posix.dirname(at)) await chown(at, uid, gid);
}

/** `exec` after the default `noexec` wins, as with mount(8): only one of a pair may reach the runtime. */
function lastWins(options: readonly string[]): string[] {
  const stem = (word: string) => (word === "ro" || word === "rw" ? "rw" : word.replace(/^no/, "").replace(/=.*/, ""));
  return [...new Map(options.map((word) => [stem(word), word])).values()];
}

/**
 * A directory inside a volume, found by the kernel and mounted where nobody else writes: a runtime opens its sources by
 * name, and whoever writes to the volume could put a symlink to somewhere else in the place of one meanwhile.
 */
function inside(ctx: Context, { row, entry }: { row: Row; entry: MountEntry }): string {
  const { source, subpath = "", destination } = entry;
  const { subpaths } = pathsOf(ctx.config, row.id);
  const name = `/${row.mounts.findIndex((other) => other.destination === destination)}`;
  const fd = openInVolume(source, subpath);
  try {
    const graft = { source: `/proc/self/fd/${fd}`, destination: name, recursive: entry.recursive, readOnly: false };
    ctx.host.mounts.graft(subpaths, [graft]);
    return `${subpaths}${name}`;
  } finally {
    closeSync(fd);
  }
}

/** A mount for all of them, which takes them along when it goes. */
async function prepareSubpaths(ctx: Context, row: Row): Promise<void> {
  if (row.mounts.every(({ subpath }) => subpath === undefined)) return;
  const { subpaths } = pathsOf(ctx.config, row.id);
  await mkdir(subpaths, { recursive: true, mode: 0o700 });
  const options = ["nosuid", "nodev", "mode=700", "private"];
  ctx.host.mounts.mount({ type: "tmpfs", source: "subpaths", options }, subpaths);
}

function openInVolume(source: string, subpath: string): number {
  const root = openSync(source, pathOnly | constants.O_DIRECTORY);
  try {
    const fd = openBelow(root, `/${subpath}`, pathOnly);
    if (fd >= 0) return fd;
    throw new EngineError("invalid", `cannot access path ${posix.join(source, subpath)}: no such file or directory`);
  } finally {
    closeSync(root);
  }
}

function etcMounts(ctx: Context, row: Row): SpecMount[] {
  const ref = containerIn(row.hostConfig.NetworkMode);
  const files = pathsOf(ctx.config, ref === undefined ? row.id : resolve(ctx.table, ref).id);
  const options = ["rbind", "rprivate", row.hostConfig.ReadonlyRootfs ? "ro" : "rw"];
  return [
    { destination: "/etc/resolv.conf", source: files.resolvConf },
    { destination: "/etc/hostname", source: files.hostname },
    { destination: "/etc/hosts", source: files.hosts },
    { destination: "/.dockerenv", source: files.dockerenv },
  ].map((mount) => ({ ...mount, type: "bind", options, owned: true }));
}

/** Shared memory that others may join needs a mount on the host; a private one is the runtime's own tmpfs. */
async function shmMounts(ctx: Context, row: Row, map?: IdMap): Promise<SpecMount[]> {
  const { IpcMode, ShmSize } = row.hostConfig;
  const bind = (source: string): SpecMount[] => [
    { destination: "/dev/shm", type: "bind", source, options: ["rbind", "rprivate", "rw"] },
  ];
  if (IpcMode === "host") return bind("/dev/shm");
  const ref = containerIn(IpcMode);
  if (ref !== undefined) {
    const other = joined(ctx.table, ref);
    if (other.hostConfig.IpcMode === "host") return bind("/dev/shm");
    if (other.hostConfig.IpcMode === "shareable") return bind(pathsOf(ctx.config, other.id).shm);
    throw new EngineError(
      "invalid",
      `cannot join IPC of container ${ref}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  }
  if (IpcMode !== "shareable") return [];
  const { shm } = pathsOf(ctx.config, row.id);
  await mkdir(shm, { recursive: true, mode: 0o700 });
  const size = `size=${ShmSize || ctx.config.defaultShmSize}`;
  const { uid, gid } = map ? rootOf(map) : { uid: 0, gid: 0 };
  const options = ["nosuid", "nodev", "noexec", "mode=1777", size, `uid=${uid}`, `gid=${gid}`];
  ctx.host.mounts.mount({ type: "tmpfs", source: "shm", options }, shm);
  return bind(shm);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

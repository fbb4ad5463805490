import { existsSync } from "node:fs";
import { mkdir, rmdir, stat } from "node:fs/promises";
import { posix } from "node:path";
import { EngineError } from "../errors/mod.ts";
import type { Graft, IdMap } from "../host/mod.ts";
import { rootOf, type StagedMount } from "../userns/mod.ts";
import type { Context } from "./context.ts";
import { containerIn, joined } from "./modes.ts";
import type { MountEntry } from "./mount-entry.ts";
import { parseVolumesFrom } from "./mount-plan.ts";
import { checkBindSources, createSource } from "./mounts/bind-source.ts";
import { propagationOf, settlePropagation } from "./mounts/propagation.ts";
import { sourceOf, unmountSources } from "./mounts/sources.ts";
import { pathsOf, snapshotKey } from "./paths.ts";
import { resolve, resolveOther } from "./refs.ts";
import type { Row } from "./table.ts";
import { settleAll } from "./undo.ts";

export type SpecMount = StagedMount & { readonly destination: string };

/** Mounts of the containers of `--volumes-from`, shared: an anonymous volume goes with the last container that has it. */
export function inheritedMounts(ctx: Context, specs: readonly string[]): MountEntry[] {
  return specs.flatMap((spec) => {
    const { ref, readOnly } = parseVolumesFrom(spec);
    const shared = resolveOther(ctx.table, ref).mounts.filter((entry) => entry.type !== "tmpfs");
    return shared.map((entry) => ({ ...entry, rw: entry.rw && !readOnly, copyUp: false }));
  });
}

/**
 * What a plan leaves to this engine: which image each mounted one is, for its name may go to another, and how mounts that
 * appear later reach a bind. Throws "not-found" for an image.
 */
export function settleMounts(ctx: Context, mounts: readonly MountEntry[]): MountEntry[] {
  return mounts.map((entry) => {
    if (entry.type === "image" && !entry.imageId) return { ...entry, imageId: ctx.images.get(entry.name ?? "").id };
    const settled = settlePropagation(entry, ctx.config);
    return settled.type === "bind" && settled.propagation === "" ? { ...settled, propagation: "rprivate" } : settled;
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
    if (!entry.copyUp || entry.type !== "volume" || entry.name === undefined) continue;
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

/** Takes down the root file system, the shared memory and what was mounted to be mounted in it, whatever of it is there; volumes have one user less. */
export async function unmountRootfs(ctx: Context, id: string): Promise<void> {
  const { rootfs, shm, staged, sources } = pathsOf(ctx.config, id);
  await ctx.userns.unstage(staged);
  await unmountSources(ctx, sources);
  await ctx.volumes.unmountAll(id);
  for (const target of [rootfs, shm]) {
    if (!existsSync(target)) continue;
    ctx.host.mounts.unmount(target, "detach");
    await rmdir(target);
  }
}

/**
 * What the runtime is to mount, parents before what lies in them: the engine's files, unless the user has his own there.
 * `map` is of the container's user namespace.
 */
export async function specMounts(ctx: Context, row: Row, map?: IdMap): Promise<SpecMount[]> {
  await checkBindSources(row.mounts);
  const own = await settleAll(row.mounts.map((entry) => fromEntry(ctx, { row, entry, map })));
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
  const own = await settleAll(
    row.mounts.filter(({ type }) => type !== "tmpfs").map((entry) => fromEntry(ctx, { row, entry, map })),
  );
  const taken = new Set(own.map((mount) => mount.destination));
  const engine = ownEtcMounts(ctx, row).filter(({ destination }) => !taken.has(destination));
  const wanted = parentsFirst([...engine, ...own]);
  const mounts = map ? await ctx.userns.stage(wanted, { staged: pathsOf(ctx.config, row.id).staged, map }) : wanted;
  return mounts.map(({ source, destination, options }) => ({
    ...{ source, destination },
    recursive: options.includes("rbind"),
    readOnly: options.includes("ro") || options.includes("rro"),
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
  if (type === "bind" && entry.createSource) await createSource(entry.source, map);
  const source = await sourceOf(ctx, { row, entry, map });
  const access = rw ? "rw" : await readOnlyWord(source, entry);
  const options = [entry.recursive ? "rbind" : "bind", access, propagationOf(entry, ctx.host.mounts.list)];
  const owned = type === "volume" && !entry.idmap && isOwn(ctx, entry);
  return { destination, type: "bind", source, options, owned };
}

/** Nothing is mounted below a file, and crun 1.8 takes "rro" for directories only. */
async function readOnlyWord(source: string, { readOnlyAlone }: MountEntry): Promise<"ro" | "rro"> {
  if (readOnlyAlone) return "ro";
  return (await stat(source)).isDirectory() ? "rro" : "ro";
}

/** File systems of other machines, whose kernels know nothing of our maps. */
const remote = /^(nfs4?|cifs|smb3|9p|ceph|fuse.*)$/;

/** False for a volume whose driver options lead to files of the host or of others: root inside must not be root there. */
function isOwn(ctx: Context, { name }: MountEntry): boolean {
  const { type = "", o = "" } = (name !== undefined && ctx.volumes.get(name).Options) || {};
  return !remote.test(type) && !/(^|,)r?bind(,|$)/.test(o);
}

/** `exec` after the default `noexec` wins, as with mount(8): only one of a pair may reach the runtime. */
function lastWins(options: readonly string[]): string[] {
  const stem = (word: string) => (word === "ro" || word === "rw" ? "rw" : word.replace(/^no/, "").replace(/=.*/, ""));
  return [...new Map(options.map((word) => [stem(word), word])).values()];
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

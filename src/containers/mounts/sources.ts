import { existsSync, lstatSync } from "node:fs";
import { mkdir, readdir, rmdir, unlink } from "node:fs/promises";
import { join, posix } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { bindInside, type IdMap } from "../../host/mod.ts";
import type { Context } from "../context.ts";
import type { MountEntry } from "../mount-entry.ts";
import { pathsOf } from "../paths.ts";
import type { Row } from "../table.ts";
import { mountIdmapped } from "./idmapped.ts";

/** Where layers lie with other owners until they are mounted. */
const mapSuffix = "-map";

/**
 * Where the runtime finds what is mounted into a container. Images, and parts of volumes and images, are mounted in the
 * container's own directory first: the runtime would look a path up again, and a path inside a volume is not to be trusted.
 * Throws "invalid" in Docker's words for a part that is not there.
 */
export async function sourceOf(ctx: Context, wanted: WantedSource): Promise<string> {
  const { entry } = wanted;
  const found = await foundSource(ctx, wanted);
  if (entry.idmap === undefined) return found;
  return await mountIdmapped(ctx, { ...wanted, idmap: entry.idmap, source: found, place: await placeOf(ctx, wanted) });
}

async function foundSource(ctx: Context, wanted: WantedSource): Promise<string> {
  const { row, entry } = wanted;
  if (entry.type === "bind") return entry.source;
  const whole = entry.type === "image" ? await mountImage(ctx, wanted) : await useVolume(ctx, wanted);
  return entry.subpath === undefined ? whole : await mountPart(ctx, { row, entry, whole });
}

export interface WantedSource {
  readonly row: Row;
  readonly entry: MountEntry;
  /** Of the container's user namespace: an image's files then have the owners that its processes see. */
  readonly map: IdMap | undefined;
}

/** Everything that {@link sourceOf} mounted for a container: nothing below is deleted, only what it lay on. */
export async function unmountSources(ctx: Pick<Context, "host" | "userns">, directory: string): Promise<void> {
  if (!existsSync(directory)) return;
  for (const name of await readdir(directory)) {
    const target = join(directory, name);
    ctx.host.mounts.unmount(target, "detach");
    if (name.endsWith(mapSuffix)) await ctx.userns.unstage(target);
    else await (lstatSync(target).isDirectory() ? rmdir(target) : unlink(target));
  }
  await rmdir(directory);
}

/** Which containers use each volume, of those that run. */
export function volumeUsers(rows: readonly Row[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const row of rows) {
    for (const { type, name } of row.mounts) {
      if (type === "volume" && name) users.set(name, [...(users.get(name) ?? []), row.id]);
    }
  }
  return users;
}

async function useVolume(ctx: Context, { row, entry }: WantedSource): Promise<string> {
  return await ctx.volumes.mount(entry.name ?? "", row.id);
}

async function mountImage(ctx: Context, { row, entry, map }: WantedSource): Promise<string> {
  const image = ctx.images.get(entry.imageId ?? entry.name ?? "");
  const layer = await ctx.images.rootfs(image);
  const place = await placeOf(ctx, { row, entry });
  const target = `${place}-image`;
  await mkdir(target);
  if (layer === undefined) return target;
  if (map) {
    const mounts = (at: string) => ctx.snapshots.view(layer, { at });
    const staged = `${place}${mapSuffix}`;
    await ctx.userns.mountMapped({ source: ctx.snapshots.root, target, mounts, staged, through: [], map });
    await ctx.userns.unstage(staged);
  } else for (const mount of await ctx.snapshots.view(layer)) ctx.host.mounts.mount(mount, target);
  return target;
}

async function mountPart(
  ctx: Context,
  { row, entry, whole }: { row: Row; entry: MountEntry; whole: string },
): Promise<string> {
  const target = await placeOf(ctx, { row, entry });
  // The volume may lie on a file server that does not answer.
  const input = { root: whole, path: `/${entry.subpath}`, target };
  if (await ctx.host.workers.run(bindInside, input, { waits: true })) return target;
  const shown = posix.join(entry.source, entry.subpath ?? "");
  throw new EngineError("invalid", `cannot access path ${shown}: no such file or directory`);
}

async function placeOf(ctx: Context, { row, entry }: Pick<WantedSource, "row" | "entry">): Promise<string> {
  const directory = pathsOf(ctx.config, row.id).sources;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return join(directory, String(row.mounts.indexOf(entry)));
}

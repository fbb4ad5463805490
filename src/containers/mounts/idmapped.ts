import { mkdir, realpath, stat, writeFile } from "node:fs/promises";
import { EngineError, isKind } from "../../errors/mod.ts";
import { type IdMap, type IdRange, outsideId } from "../../host/mod.ts";
import { resolveUser } from "../../rootfs/mod.ts";
import type { Context } from "../context.ts";
import { pathsOf } from "../paths.ts";
import type { Idmap, IdmapRange } from "./idmap.ts";
import { mountOf } from "./propagation.ts";
import type { WantedSource } from "./sources.ts";

export interface WantedIdmap extends WantedSource {
  readonly idmap: Idmap;
  /** What is to be shown with other owners, as it is on disk. */
  readonly source: string;
  /** A path of the container's own, for the mount. */
  readonly place: string;
}

/**
 * Mounts a source at a place of the container's own, where its files have the owners that they are to have in the container
 * (mount_setattr(2), MOUNT_ATTR_IDMAP). The runtimes do not agree on how to be asked for it, and runc 1.1 ignores it; they get
 * that mount. Throws "invalid" where a file system cannot do that, or for an id that the container's user namespace has not.
 */
export async function mountIdmapped(ctx: Context, wanted: WantedIdmap): Promise<string> {
  const { source, place, entry } = wanted;
  const map = await mapFor(ctx, wanted);
  const target = `${place}-idmap`;
  if ((await stat(source)).isDirectory()) await mkdir(target, { mode: 0o700 });
  else await writeFile(target, "", { mode: 0o600, flag: "wx" });
  try {
    await ctx.userns.showExactly(source, target, { map, recursive: entry.recursive });
  } catch (err) {
    if (!isKind(err, "unavailable")) throw err;
    throw new EngineError("invalid", await refusal(ctx, wanted), { cause: err });
  }
  return target;
}

async function refusal(ctx: Context, { entry, source }: WantedIdmap): Promise<string> {
  const type = mountOf(await realpath(source), ctx.host.mounts.list())?.type ?? "unknown";
  const what = entry.type === "bind" ? entry.source : (entry.name ?? "");
  const why = `the file system of ${what} (${type}), or one mounted below it, cannot show files with other owners`;
  return `invalid mount config for type "${entry.type}": idmap: ${why}`;
}

async function mapFor(ctx: Context, wanted: WantedIdmap): Promise<IdMap> {
  const { uids, gids } = wanted.idmap === "owner" ? await ownerMap(ctx, wanted) : wanted.idmap;
  return {
    uids: uids.map((range) => onHost(range, wanted.map?.uids)),
    gids: gids.map((range) => onHost(range, wanted.map?.gids)),
  };
}

async function ownerMap(ctx: Context, { row, source }: WantedIdmap): Promise<Exclude<Idmap, "owner">> {
  const root = ctx.host.rooted(pathsOf(ctx.config, row.id).rootfs);
  const user = resolveUser(root, { user: row.config.User });
  const owner = await stat(source);
  const one = (disk: number, inside: number) => [{ disk, inside, count: 1 }];
  return { uids: one(owner.uid, user.uid), gids: one(owner.gid, user.gid) };
}

function onHost({ disk, inside, count }: IdmapRange, ranges: readonly IdRange[] | undefined): IdRange {
  const [first, last] = [inside, inside + count - 1].map((id) => (ranges ? outsideId(ranges, id) : id));
  if (first !== undefined && last === first + count - 1) return { inside: disk, outside: first, size: count };
  const ids = count === 1 ? `id ${inside}` : `ids ${inside} to ${inside + count - 1}, or not in one piece`;
  throw new EngineError("invalid", `invalid idmap: the container's user namespace has no ${ids}`);
}

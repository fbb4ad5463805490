import { statfsSync, statSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { basename } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { errnoText } from "../errno.ts";
import type { Job } from "../host.ts";
import { cString, libc } from "../libc.ts";
import { withLoop } from "../loop.ts";
import { rawMount } from "../mounts.ts";

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
/** What an empty file system has in use (its root directory), and a large file's list of extents. */
const spareBlocks = 4;

export interface DiskMount {
  /** A regular file with an ext4 file system in it. */
  readonly image: string;
  readonly target: string;
  /** Bytes that its files may have; at most what the file system has room for. */
  readonly limit: number;
}

/**
 * Mounts a file as a file system, with a limit for what is written into it. What is deleted there makes the file sparse
 * again. Once unmounted, nothing is left. Throws "unavailable" on a host without loop devices, "internal" otherwise.
 */
export const mountDisk: Job<DiskMount, void> = {
  name: "mountDisk",
  run: ({ image, target, limit }) => {
    withLoop(image, (device) => {
      const code = rawMount([device, target, "ext4", 0, "discard"]);
      if (code !== 0) throw new EngineError("internal", `Mount ${image} at ${target}: ${errnoText(code)}`);
      try {
        setLimit(device, { target, limit });
      } catch (err) {
        libc.umount2(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW);
        throw err;
      }
    });
  },
};

/**
 * Changes the limit of what {@link mountDisk} has mounted, while it is used. What is written already stays. Throws "internal" when
 * the file is not what is mounted there.
 */
export const limitDisk: Job<DiskMount, void> = {
  name: "limitDisk",
  run: ({ image, target, limit }) => withLoop(image, (device) => setLimit(device, { target, limit })),
};

/**
 * Everything beyond the limit becomes ext4's reserve, which nobody can use, root neither (ext4's "reserved_clusters", an
 * attribute in sysfs since Linux 3.10; unlike the reserve for root of tune2fs -m). The file system itself is larger than it needs
 * to be, since making one larger while it is mounted takes CAP_SYS_RESOURCE, which a daemon need not have.
 */
function setLimit(device: string, { target, limit }: Pick<DiskMount, "target" | "limit">): void {
  // Of anything else, the host's own file system say, a reserve would make it full for everybody.
  if (statSync(target, { bigint: true }).dev !== statSync(device, { bigint: true }).rdev) {
    throw new EngineError("internal", `Limit ${target} to ${limit} bytes: ${device} is not mounted there`);
  }
  const { blocks, bsize } = statfsSync(target);
  const reserve = blocks - Math.ceil(limit / bsize) - spareBlocks;
  if (reserve < 0) {
    throw new EngineError("internal", `Limit ${target} to ${limit} bytes: it has room for ${blocks * bsize} only`);
  }
  try {
    writeFileSync(`/sys/fs/ext4/${basename(device)}/reserved_clusters`, String(reserve));
  } catch (err) {
    throw new EngineError("internal", `Limit ${target} to ${limit} bytes: ${messageOf(err)}`, { cause: err });
  }
}

/** Of what {@link mountDisk} has mounted, in bytes: the largest limit that it can have, and what its files occupy. */
export async function diskSpace(target: string): Promise<{ readonly room: number; readonly used: number }> {
  const { blocks, bfree, bsize } = await statfs(target);
  return { room: (blocks - spareBlocks) * bsize, used: Math.max(0, blocks - bfree - spareBlocks) * bsize };
}

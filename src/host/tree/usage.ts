import { confined } from "../confined.ts";
import type { Job } from "../host.ts";
import { walk } from "./walk.ts";

export interface TreeUsage {
  /** What the files occupy on disk. */
  readonly bytes: number;
  readonly inodes: number;
}

/** Disk use of all that is below a directory, itself not counted: every inode once, other file systems not at all. */
export const usageOf: Job<{ readonly path: string }, TreeUsage> = {
  name: "usageOf",
  run: ({ path }, context) => confined(path, () => measure(context.check)),
};

function measure(check: () => void): TreeUsage {
  const linked = new Set<bigint>();
  let device: bigint | undefined;
  let blocks = 0n;
  let inodes = 0;
  walk({
    entry: ({ stat }) => {
      check();
      device ??= stat.dev;
      if (stat.dev !== device) return false;
      if (stat.nlink > 1n && !stat.isDirectory()) {
        if (linked.has(stat.ino)) return false;
        linked.add(stat.ino);
      }
      blocks += stat.blocks;
      inodes++;
      return true;
    },
  });
  return { bytes: Number(blocks * 512n), inodes };
}

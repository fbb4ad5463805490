import type { BigIntStats } from "node:fs";
import { confined, type Job } from "../../host/mod.ts";
import type { PathStat, Place } from "./archive.ts";
import { ConfinedRoot } from "./directory.ts";
import { type AskedPath, askedPath } from "./path.ts";

export const statPathJob: Job<Place, PathStat> = {
  name: "statPath",
  run: (place) =>
    confined(place.root, () => {
      using root = new ConfinedRoot(place);
      const path = askedPath(place.path);
      return describe(root, { path, stat: root.find(path) });
    }),
};

export function describe(root: ConfinedRoot, { path, stat }: { path: AskedPath; stat: BigIntStats }): PathStat {
  return {
    name: path.name,
    size: Number(stat.size),
    mode: Number(stat.mode),
    mtime: stat.mtimeNs,
    linkTarget: stat.isSymbolicLink() ? root.follow(path.full) : "",
  };
}

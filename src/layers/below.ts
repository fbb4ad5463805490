import type { Snapshotter } from "../snapshots/mod.ts";

/** Directories of a snapshot and of all that it stands on, itself first. */
export function directoriesBelow(snapshots: Snapshotter, name: string | undefined): string[] {
  const directories: string[] = [];
  for (let at = name; at !== undefined; at = snapshots.info(at)?.parent) directories.push(snapshots.directory(at));
  return directories;
}

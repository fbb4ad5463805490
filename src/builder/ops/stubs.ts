import { posix } from "node:path";
import type { RootedFs } from "../../host/mod.ts";

/** What stood in the file system before mount points were made in it, so that they can be taken away again. */
export interface Stubs {
  /** Paths that were not there, deepest first. */
  readonly missing: readonly string[];
  /** Directories above them that were there, deepest first, as they were. */
  readonly parents: readonly {
    readonly path: string;
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
  }[];
}

/** Looks at where a runtime will mount things; absolute paths. */
export function lookForStubs(root: RootedFs, targets: readonly string[]): Stubs {
  const missing = new Set<string>();
  const parents = new Map<string, Stubs["parents"][number]>();
  for (const target of targets) {
    let path = posix.resolve("/", target);
    while (path !== "/" && !root.stat(path)) {
      missing.add(path);
      path = posix.dirname(path);
    }
    if (!missing.has(posix.resolve("/", target))) continue;
    for (; path !== "/"; path = posix.dirname(path)) {
      const stat = root.stat(path);
      if (stat?.type === "directory")
        parents.set(path, { path, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid });
    }
  }
  return {
    missing: [...missing].sort(deepestFirst),
    parents: [...parents.values()].sort((a, b) => deepestFirst(a.path, b.path)),
  };
}

function deepestFirst(a: string, b: string): number {
  return b.split("/").length - a.split("/").length || (a < b ? -1 : 1);
}

import { closeSync, fstatSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import type { Graft } from "./host.ts";
import { errno } from "./libc.ts";
import {
  AT_RECURSIVE,
  type MountAttributeCall,
  MS_PRIVATE,
  moveMount,
  OPEN_TREE_CLONE,
  openTree,
  setMountAttributes,
} from "./mount-calls.ts";
import { makeFile, openBelow, rooted } from "./rooted.ts";
import type { Owner } from "./users/id-map.ts";

const O_PATH = 0o10000000;
const MOUNT_ATTR_RDONLY = 1;

/**
 * The targets are found by the kernel from the open root and mounted on by descriptor, so that no symlink leads out,
 * whoever changes the tree meanwhile (another container may write to a volume that is mounted already). The copies of the
 * sources are private: unmounting one later must not reach what it was copied from. They become read-only when all are
 * there, since the place of one may have to be made in another.
 */
export function graft(root: string, all: readonly Graft[], { owner }: { readonly owner?: Owner } = {}): void {
  const trees: { readonly tree: number; readonly what: Graft }[] = [];
  try {
    for (const what of all) {
      const tree = copyTree(what);
      trees.push({ tree, what });
      setAttributes(tree, { what, words: [0, 0, MS_PRIVATE], flags: AT_RECURSIVE });
      if (fstatSync(tree).isDirectory()) rooted(root).mkdirs(what.destination, { mode: 0o755, ...owner });
      else makeFile(root, what.destination, owner);
      attach(tree, { root, what });
    }
    for (const { tree, what } of trees) {
      if (what.readOnly) setAttributes(tree, { what, words: [MOUNT_ATTR_RDONLY] });
    }
  } finally {
    for (const { tree } of trees) closeSync(tree);
  }
}

function copyTree(what: Graft): number {
  const flags = OPEN_TREE_CLONE | (what.recursive ? AT_RECURSIVE : 0);
  return descriptor(what, "open_tree", () => openTree(what.source, flags));
}

function setAttributes(tree: number, { what, ...how }: MountAttributeCall & { readonly what: Graft }): void {
  descriptor(what, "mount_setattr", () => setMountAttributes(tree, how));
}

function attach(tree: number, { root, what }: { root: string; what: Graft }): void {
  const directory = descriptor(what, "open", () => openTree(root, 0));
  try {
    const target = openBelow(directory, what.destination, O_PATH);
    if (target < 0) throw failure(what, "open", -target);
    try {
      if (fstatSync(target).isDirectory() !== fstatSync(tree).isDirectory()) throw failure(what, "move_mount", 20);
      descriptor(what, "move_mount", () => moveMount(tree, target));
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(directory);
  }
}

/** What a system call returned, which must not be -1. */
function descriptor(what: Graft, step: string, call: () => number): number {
  const result = call();
  if (result < 0) throw failure(what, step, errno());
  return result;
}

function failure({ source, destination }: Graft, step: string, code: number): EngineError {
  return new EngineError("internal", `Bind ${source} on ${destination} of a container (${step}): ${errnoName(code)}`);
}

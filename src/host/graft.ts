import { closeSync, fstatSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import type { Graft } from "./host.ts";
import { errno, libc } from "./libc.ts";
import { makeFile, openBelow, rooted } from "./rooted.ts";
import { scratchPath, scratchWords } from "./scratch.ts";
import type { Owner } from "./users/id-map.ts";

/** The same numbers on every architecture; Linux 5.2, 5.2 and 5.12. */
const SYS = { open_tree: 428, move_mount: 429, mount_setattr: 442 } as const;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0o2000000;
const O_PATH = 0o10000000;
const MOVE_MOUNT_EMPTY_PATHS = 0x04 | 0x40;
const MOUNT_ATTR_RDONLY = 1n;
const MS_PRIVATE = 1n << 18n;
const attrSize = 32;

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
      setAttributes(tree, { what, words: [0n, 0n, MS_PRIVATE], flags: AT_RECURSIVE });
      if (fstatSync(tree).isDirectory()) rooted(root).mkdirs(what.destination, { mode: 0o755, ...owner });
      else makeFile(root, what.destination, owner);
      attach(tree, { root, what });
    }
    for (const { tree, what } of trees) {
      if (what.readOnly) setAttributes(tree, { what, words: [MOUNT_ATTR_RDONLY], flags: 0 });
    }
  } finally {
    for (const { tree } of trees) closeSync(tree);
  }
}

function copyTree(what: Graft): number {
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | (what.recursive ? AT_RECURSIVE : 0);
  return descriptor(what, "open_tree", () =>
    libc.syscall(SYS.open_tree, AT_FDCWD, scratchPath(what.source), flags, 0, 0, 0),
  );
}

interface Setting {
  readonly what: Graft;
  /** To set, to clear, propagation. */
  readonly words: readonly bigint[];
  readonly flags: number;
}

function setAttributes(tree: number, { what, words, flags }: Setting): void {
  const attributes = scratchWords(words);
  descriptor(what, "mount_setattr", () =>
    libc.syscall(SYS.mount_setattr, tree, scratchPath(""), AT_EMPTY_PATH | flags, attributes, attrSize, 0),
  );
}

function attach(tree: number, { root, what }: { root: string; what: Graft }): void {
  const directory = descriptor(what, "open", () => rootDescriptor(root));
  try {
    const target = openBelow(directory, what.destination, O_PATH);
    if (target < 0) throw failure(what, "open", -target);
    try {
      if (fstatSync(target).isDirectory() !== fstatSync(tree).isDirectory()) throw failure(what, "move_mount", 20);
      const nothing = scratchPath("");
      descriptor(what, "move_mount", () =>
        libc.syscall(SYS.move_mount, tree, nothing, target, nothing, MOVE_MOUNT_EMPTY_PATHS, 0),
      );
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(directory);
  }
}

function rootDescriptor(root: string): bigint | number {
  return libc.syscall(SYS.open_tree, AT_FDCWD, scratchPath(root), O_CLOEXEC, 0, 0, 0);
}

/** What a system call returned, which must not be -1. */
function descriptor(what: Graft, step: string, call: () => bigint | number): number {
  const result = Number(call());
  if (result < 0) throw failure(what, step, errno());
  return result;
}

function failure({ source, destination }: Graft, step: string, code: number): EngineError {
  return new EngineError("internal", `Bind ${source} on ${destination} of a container (${step}): ${errnoName(code)}`);
}

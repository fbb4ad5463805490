import { closeSync, fstatSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import type { Graft } from "./host.ts";
import { errno, libc } from "./libc.ts";
import { makeFile, openBelow, rooted } from "./rooted.ts";
import { scratchPath, scratchWords } from "./scratch.ts";

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
 * The target is found by the kernel from the open root and mounted on by descriptor, so that no symlink leads out,
 * whoever changes the tree meanwhile (another container may write to a volume that is mounted already). The copy of the
 * source is private: unmounting it later must not reach what it was copied from.
 */
export function graft(root: string, what: Graft): void {
  const { source, destination, recursive } = what;
  const tree = descriptor(what, "open_tree", () =>
    libc.syscall(
      SYS.open_tree,
      AT_FDCWD,
      scratchPath(source),
      OPEN_TREE_CLONE | O_CLOEXEC | (recursive ? AT_RECURSIVE : 0),
      0,
      0,
      0,
    ),
  );
  try {
    setAttributes(tree, what);
    if (fstatSync(tree).isDirectory()) rooted(root).mkdirs(destination, { mode: 0o755 });
    else makeFile(root, destination);
    attach(tree, { root, what });
  } finally {
    closeSync(tree);
  }
}

function setAttributes(tree: number, what: Graft): void {
  const words = scratchWords([what.readOnly ? MOUNT_ATTR_RDONLY : 0n, 0n, MS_PRIVATE]);
  descriptor(what, "mount_setattr", () =>
    libc.syscall(SYS.mount_setattr, tree, scratchPath(""), AT_EMPTY_PATH | AT_RECURSIVE, words, attrSize, 0),
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

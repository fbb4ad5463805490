import { libc } from "./libc.ts";
import { scratchPath, scratchWords } from "./scratch.ts";

/** The same numbers on every architecture. open_tree(2) and move_mount(2): Linux 5.2; mount_setattr(2): 5.12. */
const SYS = { openTree: 428, moveMount: 429, mountSetattr: 442 } as const;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
export const AT_RECURSIVE = 0x8000;
export const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0x80000;
const MOVE_MOUNT_F_EMPTY_PATH = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH = 0x40;
/** MOUNT_ATTR_SIZE_VER0: struct mount_attr with attr_set, attr_clr, propagation and userns_fd. */
const attrSize = 32;
export const MS_PRIVATE = 1 << 18;

/** A mount or a copy of it (`OPEN_TREE_CLONE`), by descriptor; -1 with errno. */
export function openTree(path: string, flags: number): number {
  return Number(libc.syscall(SYS.openTree, AT_FDCWD, scratchPath(path), flags | O_CLOEXEC, 0, 0, 0));
}

export interface MountAttributeCall {
  /** To set, to clear, propagation, user namespace; what is left out is 0. */
  readonly words: readonly number[];
  /** `AT_RECURSIVE`: every mount below, too, all or nothing. */
  readonly flags?: number;
}

/** Only what is named changes, of a descriptor's mount or of the one at a path; 0, or -1 with errno. */
export function setMountAttributes(at: number | string, { words, flags = 0 }: MountAttributeCall): number {
  const [directory, path, empty] = typeof at === "number" ? [at, "", AT_EMPTY_PATH] : [AT_FDCWD, at, 0];
  const attributes = scratchWords(words);
  return Number(libc.syscall(SYS.mountSetattr, directory, scratchPath(path), empty | flags, attributes, attrSize, 0));
}

/** Puts a copy that nobody has seen yet where the target is, a path or a descriptor; 0, or -1 with errno. */
export function moveMount(tree: number, target: number | string): number {
  const [directory, path, empty] =
    typeof target === "number" ? [target, "", MOVE_MOUNT_T_EMPTY_PATH] : [AT_FDCWD, target, 0];
  const nothing = scratchWords([0]); // a string's end
  const flags = MOVE_MOUNT_F_EMPTY_PATH | empty;
  return Number(libc.syscall(SYS.moveMount, tree, nothing, directory, scratchPath(path), flags, 0));
}

import { closeSync, openSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import { errno, libc } from "./libc.ts";
import { scratchPath, scratchWords } from "./scratch.ts";

/** Same numbers on every architecture. open_tree(2) and move_mount(2): Linux 5.2; mount_setattr(2): 5.12. */
const SYS = { openTree: 428, moveMount: 429, mountSetattr: 442 } as const;
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const OPEN_TREE_CLONE = 1;
const O_CLOEXEC = 0x80000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
/** struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
const attrSize = 32;
const MOUNT_ATTR_IDMAP = 0x100000;
const MS_PRIVATE = 1 << 18;
const errnos = { EINVAL: 22, ENOSYS: 38 } as const;

/** As {@link import("./host.ts").Mounts.bindMapped}. A map can only be given to a mount that nobody has seen yet. */
export function bindMapped(source: string, target: string, userNamespace: string): void {
  const what = `Show ${source} at ${target} with other owners`;
  const tree = openTree(source, what);
  try {
    setMap(tree, userNamespace, what);
    attach(tree, target, what);
  } finally {
    closeSync(tree);
  }
}

function openTree(source: string, what: string): number {
  const fd = Number(libc.syscall(SYS.openTree, AT_FDCWD, scratchPath(source), OPEN_TREE_CLONE | O_CLOEXEC, 0, 0, 0));
  if (fd < 0) throw new EngineError("internal", `${what}: open_tree: ${errnoName(errno())}`);
  return fd;
}

function setMap(tree: number, userNamespace: string, what: string): void {
  const namespace = openSync(userNamespace, "r");
  const attributes = scratchWords([MOUNT_ATTR_IDMAP, 0, MS_PRIVATE, namespace]);
  const failed = libc.syscall(SYS.mountSetattr, tree, scratchPath(""), AT_EMPTY_PATH, attributes, attrSize, 0);
  const code = Number(failed) === 0 ? 0 : errno();
  closeSync(namespace);
  if (code === 0) return;
  const impossible = code === errnos.EINVAL || code === errnos.ENOSYS;
  const why = impossible ? "its file system cannot do that (idmapped mounts)" : errnoName(code);
  throw new EngineError(impossible ? "unavailable" : "internal", `${what}: ${why}`);
}

function attach(tree: number, target: string, what: string): void {
  const empty = scratchWords([0]); // a string's end
  const failed = libc.syscall(SYS.moveMount, tree, empty, AT_FDCWD, scratchPath(target), MOVE_MOUNT_F_EMPTY_PATH, 0);
  if (Number(failed) !== 0) throw new EngineError("internal", `${what}: move_mount: ${errnoName(errno())}`);
}

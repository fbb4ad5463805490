import { closeSync, openSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import type { MappedBind } from "./host.ts";
import { errno } from "./libc.ts";
import { AT_RECURSIVE, MS_PRIVATE, moveMount, OPEN_TREE_CLONE, openTree, setMountAttributes } from "./mount-calls.ts";

const MOUNT_ATTR_IDMAP = 0x100000;
const errnos = { EINVAL: 22, ENOSYS: 38 } as const;

/** As {@link import("./host.ts").Mounts.bindMapped}. A map can only be given to a mount that nobody has seen yet. */
export function bindMapped(source: string, target: string, { userNamespace, recursive = false }: MappedBind): void {
  const what = `Show ${source} at ${target} with other owners`;
  const depth = recursive ? AT_RECURSIVE : 0;
  const tree = copyTree(source, { what, depth });
  try {
    setMap(tree, userNamespace, { what, depth });
    attach(tree, target, what);
  } finally {
    closeSync(tree);
  }
}

interface Step {
  /** For messages. */
  readonly what: string;
  /** AT_RECURSIVE or 0. */
  readonly depth: number;
}

function copyTree(source: string, { what, depth }: Step): number {
  const fd = openTree(source, OPEN_TREE_CLONE | depth);
  if (fd < 0) throw new EngineError("internal", `${what}: open_tree: ${errnoName(errno())}`);
  return fd;
}

function setMap(tree: number, userNamespace: string, { what, depth }: Step): void {
  const namespace = openSync(userNamespace, "r");
  const failed = setMountAttributes(tree, { words: [MOUNT_ATTR_IDMAP, 0, MS_PRIVATE, namespace], flags: depth });
  const code = failed === 0 ? 0 : errno();
  closeSync(namespace);
  if (code === 0) return;
  const impossible = code === errnos.EINVAL || code === errnos.ENOSYS;
  const why = impossible ? "its file system cannot do that (idmapped mounts)" : errnoName(code);
  throw new EngineError(impossible ? "unavailable" : "internal", `${what}: ${why}`);
}

function attach(tree: number, target: string, what: string): void {
  if (moveMount(tree, target) !== 0) throw new EngineError("internal", `${what}: move_mount: ${errnoName(errno())}`);
}

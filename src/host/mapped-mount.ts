import { closeSync, openSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import { errno } from "./libc.ts";
import { MS_PRIVATE, moveMount, OPEN_TREE_CLONE, openTree, setMountAttributes } from "./mount-calls.ts";

const MOUNT_ATTR_IDMAP = 0x100000;
const errnos = { EINVAL: 22, ENOSYS: 38 } as const;

/** As {@link import("./host.ts").Mounts.bindMapped}. A map can only be given to a mount that nobody has seen yet. */
export function bindMapped(source: string, target: string, userNamespace: string): void {
  const what = `Show ${source} at ${target} with other owners`;
  const tree = copyTree(source, what);
  try {
    setMap(tree, userNamespace, what);
    attach(tree, target, what);
  } finally {
    closeSync(tree);
  }
}

function copyTree(source: string, what: string): number {
  const fd = openTree(source, OPEN_TREE_CLONE);
  if (fd < 0) throw new EngineError("internal", `${what}: open_tree: ${errnoName(errno())}`);
  return fd;
}

function setMap(tree: number, userNamespace: string, what: string): void {
  const namespace = openSync(userNamespace, "r");
  const failed = setMountAttributes(tree, { words: [MOUNT_ATTR_IDMAP, 0, MS_PRIVATE, namespace] });
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

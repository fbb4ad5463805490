import { closeSync, constants, openSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { cString, errno, libc } from "./libc.ts";
import type { Owner } from "./users/id-map.ts";

const CLONE_FS = 0x200;
const O_PATH = 0o10000000;
/** struct __user_cap_header_struct: _LINUX_CAPABILITY_VERSION_3, this thread (capget(2)). */
const capabilityHeader = new Uint32Array([0x20080522, 0]);
const capabilityHeaderBytes = new Uint8Array(capabilityHeader.buffer);
/** Twice effective, permitted and inheritable. */
const capabilities = new Uint8Array(24);

/**
 * Runs `body` with `root` as the thread's root directory, so that no path, `..` or symlink leads out of it, and with umask 0.
 * Only the synchronous calls that this thread makes are confined, so `body` must be synchronous, must not leave work
 * behind, and whatever is loaded lazily must be loaded before. File descriptors opened before keep working. Worker
 * threads only. Throws "internal" when the root cannot be entered.
 *
 * unshare(CLONE_FS) gives the thread a root and working directory of its own (unshare(2)); the old root is entered again
 * through a descriptor, as chroot(2) describes. Each time anew: a thread of Bun's own pool that this thread has caused to
 * start since shares its root (clone(2), CLONE_FS), and would be taken along.
 */
export function confined<T>(root: string, body: () => Sync<T>): T {
  if (Bun.isMainThread) throw new EngineError("internal", "confined() belongs into a worker thread");
  must(libc.unshare(CLONE_FS), "unshare the root directory");
  const outside = openSync("/", O_PATH | constants.O_DIRECTORY);
  try {
    const mask = enter(root, outside);
    try {
      return body();
    } finally {
      leave(outside, mask);
    }
  } finally {
    closeSync(outside);
  }
}

type Sync<T> = T extends PromiseLike<unknown> ? never : T;

function enter(root: string, outside: number): number {
  const path = cString(root);
  must(libc.chdir(path), `enter ${root}`);
  if (libc.chroot(path) !== 0) {
    const code = errno();
    must(libc.fchdir(outside), "leave a directory");
    throw new EngineError("internal", `Cannot chroot to ${root}: errno ${code}`);
  }
  return libc.umask(0);
}

/** A thread that cannot get out must not run another job: it ends. */
function leave(outside: number, mask: number): void {
  libc.umask(mask);
  if (libc.fchdir(outside) !== 0 || libc.chroot(cString(".")) !== 0) process.exit(1);
}

function must(result: number, what: string): void {
  if (result !== 0) throw new EngineError("internal", `Cannot ${what}: errno ${errno()}`);
}

/** Makes an open directory this thread's working directory; inside `confined`, which goes back. */
export function changeDirectory(directory: number): void {
  must(libc.fchdir(directory), "change the working directory");
}

/**
 * Runs `body` with the ids that what it makes shall belong to (setfsuid(2)), and all rights as before: a file system that
 * was mounted in a user namespace, such as a tmpfs there, refuses to make anything for somebody who is nobody in it. Only
 * for a few system calls: a thread that is started meanwhile keeps the ids for ever. Throws "internal".
 */
export function withFileIds<T>({ uid, gid }: Owner, body: () => T): T {
  must(libc.capget(capabilityHeaderBytes, capabilities), "read capabilities");
  const group = libc.setfsgid(gid);
  const user = libc.setfsuid(uid);
  try {
    // Those over files are lost with root's id (capabilities(7)).
    must(libc.capset(capabilityHeaderBytes, capabilities), "keep capabilities");
    return body();
  } finally {
    libc.setfsuid(user);
    libc.setfsgid(group);
  }
}

import { closeSync, constants, openSync, statSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { cString, errno, libc } from "./libc.ts";

const CLONE_FS = 0x200;
const CLONE_NEWNS = 0x20000;
const O_PATH = 0o10000000;

/**
 * What `confined` makes the root: a directory, or the root of another mount namespace (an open descriptor of
 * /proc/PID/ns/mnt), with all that is mounted there. The latter must be the file that `dev` and `ino` say, since a
 * process's number may have passed to another process before its namespace was opened.
 */
export type Root = string | { readonly namespace: number; readonly dev: bigint; readonly ino: bigint };

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
export function confined<T>(root: Root, body: () => Sync<T>): T {
  if (Bun.isMainThread) throw new EngineError("internal", "confined() belongs into a worker thread");
  must(libc.unshare(CLONE_FS), "unshare the root directory");
  const outside: Outside = { root: openSync("/", O_PATH | constants.O_DIRECTORY), mask: 0 };
  try {
    if (typeof root !== "string") outside.namespace = openSync("/proc/thread-self/ns/mnt", constants.O_RDONLY);
    if (typeof root === "string") enter(root, outside);
    else join(root);
    try {
      outside.mask = libc.umask(0);
      if (typeof root !== "string") verify(root);
      return body();
    } finally {
      leave(outside);
    }
  } finally {
    closeSync(outside.root);
    if (outside.namespace !== undefined) closeSync(outside.namespace);
  }
}

type Sync<T> = T extends PromiseLike<unknown> ? never : T;

/** The way back. */
interface Outside {
  readonly root: number;
  namespace?: number;
  mask: number;
}

function enter(root: string, outside: Outside): void {
  const path = cString(root);
  must(libc.chdir(path), `enter ${root}`);
  if (libc.chroot(path) === 0) return;
  const code = errno();
  must(libc.fchdir(outside.root), "leave a directory");
  throw new EngineError("internal", `Cannot chroot to ${root}: errno ${code}`);
}

/** setns(2) makes the namespace's root this thread's root and working directory, whatever its processes have as theirs. */
function join({ namespace }: Exclude<Root, string>): void {
  must(libc.setns(namespace, CLONE_NEWNS), "enter a mount namespace");
}

function verify({ dev, ino }: Exclude<Root, string>): void {
  const found = statSync("/", { bigint: true });
  if (found.dev === dev && found.ino === ino) return;
  throw new EngineError("unavailable", "The process whose files are meant has ended, or has another root by now");
}

/** A thread that cannot get out must not run another job: it ends. */
function leave({ root, namespace, mask }: Outside): void {
  libc.umask(mask);
  if (namespace !== undefined && libc.setns(namespace, CLONE_NEWNS) !== 0) process.exit(1);
  if (libc.fchdir(root) !== 0 || libc.chroot(cString(".")) !== 0) process.exit(1);
}

function must(result: number, what: string): void {
  if (result !== 0) throw new EngineError("internal", `Cannot ${what}: errno ${errno()}`);
}

/** Makes an open directory this thread's working directory; inside `confined`, which goes back. */
export function changeDirectory(directory: number): void {
  must(libc.fchdir(directory), "change the working directory");
}

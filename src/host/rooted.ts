import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { posix } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { errnoName, systemError } from "./errno.ts";
import type { RootedFs, RootedStat } from "./host.ts";
import { cString, errno, libc } from "./libc.ts";
import { scratchPath, scratchWords } from "./scratch.ts";
import type { Owner } from "./users/id-map.ts";

/** Same number on every architecture; Linux 5.6. */
const SYS_openat2 = 437;
const howSize = 24;
const AT_FDCWD = -100;
const RESOLVE = { NO_MAGICLINKS: 0x02, NO_SYMLINKS: 0x04, BENEATH: 0x08, IN_ROOT: 0x10 } as const;
const O_PATH = 0x200000;
const O_CLOEXEC = 0x80000;
const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY, O_RDONLY } = constants;
const errnos = { ENOENT: 2, EAGAIN: 11, EEXIST: 17, ENOTDIR: 20, ELOOP: 40 } as const;
const absent: ReadonlySet<number> = new Set([errnos.ENOENT, errnos.ENOTDIR, errnos.ELOOP]);
/** The kernel's own limit for one path (MAXSYMLINKS). */
const maxSymlinks = 40;
const maxAttempts = 1000;

/**
 * Files below `root` as a process chrooted there would see them. The root itself is trusted, nothing below it is:
 * each path is resolved by the kernel from an open directory, so what a process inside renames or links meanwhile can
 * change which file below the root is meant, never that it is below the root.
 */
export function rooted(root: string): RootedFs {
  return {
    readFile: (path, limit = 1 << 20) => within(root, (dir) => readFile(dir, path, limit)),
    stat: (path) => within(root, (dir) => stat(dir, path)),
    resolve: (path) => within(root, (dir) => resolvePath(dir, path)),
    mkdirs: (path, options = {}) => within(root, (dir) => mkdirs(dir, path, options)),
  };
}

function within<T>(root: string, body: (directory: number) => T): T {
  return using(openSync(root, O_PATH | O_DIRECTORY | O_CLOEXEC), body);
}

/**
 * Runs `body` with an O_PATH descriptor of what `path` means inside `root`; undefined when there is nothing. What the
 * descriptor names stays the same whatever is renamed or linked meanwhile.
 */
export function insideRoot<T>(root: string, path: string, body: (fd: number) => T): T | undefined {
  return within(root, (directory) => opened({ directory, path, flags: O_PATH }, body));
}

function using<T>(fd: number, body: (fd: number) => T): T {
  try {
    return body(fd);
  } finally {
    closeSync(fd);
  }
}

/** A descriptor, or the negative errno. */
function openat2(
  directory: number,
  path: string | Uint8Array,
  how: { readonly flags: number; readonly resolve: number; readonly mode?: number },
): number {
  for (let attempt = 0; ; attempt++) {
    const args = scratchWords([how.flags | O_CLOEXEC, how.mode ?? 0, how.resolve]);
    const fd = Number(libc.syscall(SYS_openat2, directory, scratchPath(path), args, howSize, 0, 0));
    if (fd >= 0) return fd;
    const code = errno();
    // "..", while something was renamed: the kernel cannot tell whether it left the root and asks for a retry (openat2(2)).
    if (code !== errnos.EAGAIN || attempt === maxAttempts) return -code;
  }
}

function open(directory: number, path: string, flags: number): number | undefined {
  const inRoot = path === "" ? "/" : path;
  const fd = openat2(directory, inRoot, { flags, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS });
  if (fd >= 0) return fd;
  if (absent.has(-fd)) return undefined;
  throw systemError(`Open ${path}`, -fd);
}

/**
 * A descriptor of what `path` names for a process whose root is the open directory `root`, or the negative errno. No
 * symlink leads out of it, those of /proc neither, which would lead to the roots of other processes. `path` is not empty.
 */
export function openBelow(root: number, path: string | Uint8Array, flags: number): number {
  return openat2(root, path, { flags, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS });
}

/** The directory above an open one, or the negative errno. */
export function openParent(directory: number): number {
  return openat2(directory, "..", { flags: O_PATH | O_DIRECTORY, resolve: 0 });
}

/**
 * Opens regular files that somebody hostile may exchange for devices and FIFOs at any moment, without ever opening one of
 * those, which could block or do something. Made outside of `confined`, where there is the host's /proc, and used inside.
 */
export class RegularFiles implements Disposable {
  readonly #descriptors = openSync("/proc/self/fd", O_RDONLY | O_DIRECTORY);

  /** For reading; symlinks are not followed. The negative errno, or undefined when it is something else. */
  open(name: string | Uint8Array): number | undefined {
    const found = openat2(AT_FDCWD, name, { flags: O_PATH | O_NOFOLLOW, resolve: 0 });
    if (found < 0) return found;
    return using(found, (fd) => {
      if (!fstatSync(fd).isFile()) return undefined;
      const flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
      return openat2(this.#descriptors, String(fd), { flags, resolve: 0 });
    });
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptors);
  }
}

/** Runs `body` with the path's descriptor; undefined when there is nothing. */
function opened<T>(path: { directory: number; path: string; flags: number }, body: (fd: number) => T): T | undefined {
  const fd = open(path.directory, path.path, path.flags);
  return fd === undefined ? undefined : using(fd, body);
}

/** O_PATH first: opening a FIFO or a device could block or do something. */
function readFile(directory: number, path: string, limit: number): Uint8Array | undefined {
  return opened({ directory, path, flags: O_PATH }, (fd) => {
    if (!fstatSync(fd).isFile()) return undefined;
    const flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    return using(openSync(`/proc/self/fd/${fd}`, flags), (file) => readAll(file, path, limit));
  });
}

function readAll(fd: number, path: string, limit: number): Uint8Array {
  const size = fstatSync(fd).size;
  if (size > limit) throw new EngineError("invalid", `${path} has ${size} bytes, at most ${limit} are read`);
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    // The file may grow while it is read, so the limit is checked again on what came.
    const chunk = Buffer.alloc(Math.max(4096, size - total + 1));
    const got = readSync(fd, chunk);
    if (got === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, got));
    total += got;
    if (total > limit) throw new EngineError("invalid", `${path} has more than ${limit} bytes`);
  }
}

function stat(directory: number, path: string): RootedStat | undefined {
  return opened({ directory, path, flags: O_PATH | O_NOFOLLOW }, statOf);
}

function statOf(fd: number): RootedStat {
  const found = fstatSync(fd, { bigint: true });
  const kinds = { file: found.isFile(), directory: found.isDirectory(), symlink: found.isSymbolicLink() } as const;
  const type = kinds.file ? "file" : kinds.directory ? "directory" : kinds.symlink ? "symlink" : "other";
  return {
    type,
    mode: Number(found.mode) & 0o7777,
    uid: Number(found.uid),
    gid: Number(found.gid),
    size: Number(found.size),
    mtimeNs: found.mtimeNs,
  };
}

function resolvePath(directory: number, path: string): string | undefined {
  return opened({ directory, path, flags: O_PATH }, (fd) => {
    const root = readlinkSync(`/proc/self/fd/${directory}`);
    const real = readlinkSync(`/proc/self/fd/${fd}`);
    const inside = real === root || real.startsWith(root === "/" ? "/" : `${root}/`);
    // A name outside, or one with " (deleted)" behind it, means that the file was moved or removed meanwhile.
    return inside && fstatSync(fd).nlink > 0 ? real : undefined;
  });
}

interface NewDirectory {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** An empty file, with the directories above it, unless something of that name is there. They are root's unless there is an owner. */
export function makeFile(root: string, path: string, owner: Owner = { uid: 0, gid: 0 }): void {
  within(root, (directory) => makeFileIn(directory, { path, owner }));
}

function makeFileIn(root: number, { path, owner }: { readonly path: string; readonly owner: Owner }): void {
  const { dir, base } = posix.parse(path);
  mkdirs(root, dir, owner);
  opened({ directory: root, path: dir, flags: O_PATH | O_DIRECTORY }, (parent) => {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | O_NOFOLLOW;
    const fd = openat2(parent, base, { flags, resolve: RESOLVE.BENEATH, mode: 0o755 });
    if (fd === -errnos.EEXIST) return;
    if (fd < 0) throw systemError(`Make ${path}`, -fd);
    using(fd, (made) => fchownSync(made, owner.uid, owner.gid));
  });
}

/** Walks one component at a time, so that a dangling symlink's target is what is made, as with Docker's MkdirAll in scope. */
function mkdirs(root: number, path: string, options: NewDirectory): void {
  const todo = components(path);
  let at: readonly string[] = [];
  let links = 0;
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    if (name === "..") {
      at = at.slice(0, -1);
      continue;
    }
    const target = enter(root, { parent: at.join("/"), name, path, options });
    if (target === undefined) {
      at = [...at, name];
      continue;
    }
    if (++links > maxSymlinks) throw new EngineError("invalid", `Too many symbolic links in ${path}`);
    if (target.startsWith("/")) at = [];
    todo.unshift(...components(target));
  }
}

function components(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

interface Step {
  readonly parent: string;
  readonly name: string;
  /** The whole path, for messages. */
  readonly path: string;
  readonly options: NewDirectory;
}

/** Makes sure that `name` is a directory in `parent`; or returns where the symlink of that name points. */
function enter(root: number, step: Step): string | undefined {
  const parent = open(root, step.parent, O_PATH | O_DIRECTORY);
  if (parent === undefined) throw changed(step);
  return using(parent, (directory) => {
    makeDirectory(directory, step);
    const fd = openat2(directory, step.name, { flags: O_PATH | O_NOFOLLOW, resolve: RESOLVE.BENEATH });
    if (fd < 0) throw changed(step);
    return using(fd, (entry) => {
      const found = fstatSync(entry);
      if (found.isSymbolicLink()) return readLink(entry);
      if (!found.isDirectory()) throw new EngineError("invalid", `${step.path}: ${step.name} is not a directory`);
      return undefined;
    });
  });
}

/** mkdirat(2) follows no symlink in the last component, and `name` is one component. */
function makeDirectory(parent: number, { name, path, options }: Step): void {
  if (libc.mkdirat(parent, cString(name), 0o700) !== 0) {
    const code = errno();
    if (code === errnos.EEXIST) return;
    throw systemError(`Make directory ${path}`, code);
  }
  const how = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS };
  const fd = openat2(parent, name, how);
  if (fd < 0) throw systemError(`Open new directory ${path}`, -fd);
  using(fd, (directory) => {
    fchownSync(directory, options.uid ?? 0, options.gid ?? 0);
    fchmodSync(directory, options.mode ?? 0o755);
  });
}

function readLink(fd: number): string {
  const buffer = Buffer.alloc(4096);
  const length = Number(libc.readlinkat(fd, cString(""), buffer, buffer.length));
  if (length < 0) throw new EngineError("internal", `readlinkat: ${errnoName(errno())}`);
  return buffer.toString("utf8", 0, length);
}

function changed({ path }: Step): EngineError {
  return new EngineError("unavailable", `${path} changed while its directories were made`);
}

import { errnoName, systemError } from "../errno.ts";
import { cString, errno, libc } from "../libc.ts";

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const billion = 1_000_000_000n;

/** Names that a file system gives; they need not be UTF-8. */
export type FilePath = string | Uint8Array;

const none: ReadonlyMap<string, Uint8Array> = new Map();
const listBuffer = Buffer.alloc(4096);

/** Extended attributes of a file, symlinks not followed; none where the file system has no such thing. */
export function readXattrs(path: FilePath): ReadonlyMap<string, Uint8Array> {
  const target = cString(path);
  const names = listXattrs(target);
  if (names.length === 0) return none;
  const found = new Map<string, Uint8Array>();
  for (const name of names) {
    const value = xattrOf(target, cString(name));
    if (value) found.set(name, value);
  }
  return found;
}

/** One extended attribute, symlinks not followed; undefined when it is not there. */
export function readXattr(path: FilePath, name: string): Uint8Array | undefined {
  return xattrOf(cString(path), cString(name));
}

function listXattrs(path: Buffer): string[] {
  let buffer = listBuffer;
  let length = Number(libc.llistxattr(path, buffer, buffer.length));
  if (length < 0 && errnoName(errno()) === "ERANGE") {
    buffer = Buffer.alloc(65_536); // XATTR_LIST_MAX
    length = Number(libc.llistxattr(path, buffer, buffer.length));
  }
  if (length > 0) return buffer.toString("utf8", 0, length - 1).split("\0");
  if (length < 0 && !["ENOTSUP", "ENOENT"].includes(errnoName(errno())))
    throw systemError("List extended attributes", errno());
  return [];
}

const valueBuffer = Buffer.alloc(65_536); // XATTR_SIZE_MAX

function xattrOf(path: Buffer, name: Buffer): Uint8Array | undefined {
  const length = Number(libc.lgetxattr(path, name, valueBuffer, valueBuffer.length));
  if (length >= 0) return Buffer.from(valueBuffer.subarray(0, length));
  const why = errnoName(errno());
  if (why === "ENODATA" || why === "ENOTSUP" || why === "ENOENT") return undefined;
  throw systemError(`Read the extended attribute ${name.toString("utf8", 0, name.length - 1)}`, errno());
}

/** Sets an extended attribute, symlinks not followed. Returns why not: "ENOTSUP", "EPERM" …; undefined for success. */
export function setXattr(path: FilePath, name: string, value: Uint8Array): string | undefined {
  // The pointer of an empty array may not be passed, its length may.
  const bytes = value.length === 0 ? Buffer.alloc(1) : value;
  return libc.lsetxattr(cString(path), cString(name), bytes, value.length, 0) === 0 ? undefined : errnoName(errno());
}

const times = new BigInt64Array(4);
const timesBytes = new Uint8Array(times.buffer);

/** Sets both times, in nanoseconds since 1970, exactly; symlinks not followed. Throws "internal". */
export function setTimes(path: FilePath, { atime, mtime }: { atime: bigint; mtime: bigint }): void {
  times[0] = secondsOf(atime);
  times[1] = atime - secondsOf(atime) * billion;
  times[2] = secondsOf(mtime);
  times[3] = mtime - secondsOf(mtime) * billion;
  if (libc.utimensat(AT_FDCWD, cString(path), timesBytes, AT_SYMLINK_NOFOLLOW) !== 0) {
    throw systemError(`Set the times of ${Buffer.from(path as string)}`, errno());
  }
}

/** The kernel wants parts of a second counted forwards, also before 1970. */
function secondsOf(nanos: bigint): bigint {
  const seconds = nanos / billion;
  return nanos < seconds * billion ? seconds - 1n : seconds;
}

export interface Node {
  /** Type and permission bits, as in stat(2). */
  readonly mode: number;
  readonly major?: number;
  readonly minor?: number;
}

/** mknod(2). Returns why not: "EEXIST" …; undefined for success. */
export function makeNode(path: FilePath, { mode, major = 0, minor = 0 }: Node): string | undefined {
  return libc.mknod(cString(path), mode, deviceNumber(major, minor)) === 0 ? undefined : errnoName(errno());
}

/** Gives a file of the open directory `from` another name in the working directory; neither name is followed. Returns why not. */
export function hardLink(from: number, { existing, name }: { existing: FilePath; name: FilePath }): string | undefined {
  return libc.linkat(from, cString(existing), AT_FDCWD, cString(name), 0) === 0 ? undefined : errnoName(errno());
}

/** As glibc's makedev(3) packs them. */
function deviceNumber(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffn) << 8n) | (low & 0xffn) | ((low & ~0xffn) << 12n) | ((high & ~0xfffn) << 32n);
}

/** The opposite: what stat(2)'s `rdev` says. */
export function deviceParts(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n)),
  };
}

import { constants } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { deviceParts, makeNode, readXattrs, setTimes as setBoth, setXattr as setOne } from "../../host/mod.ts";
import { type Stat, viewOf } from "./fs.ts";
import { byBytes, rawBytes, shown } from "./raw.ts";

/** What files of a build may carry: file capabilities and users' own. Others mean something to this host: overlayfs markers, labels of its security module. */
export function isCarried(name: string): boolean {
  return name === "security.capability" || name.startsWith("user.");
}

/** Those that a build carries, by name. */
export function xattrsOf(path: string): [string, Buffer][] {
  const view = viewOf(path);
  if (view) return view.xattrs(path);
  return carriedOf(readXattrs(rawBytes(path)));
}

export function carriedOf(xattrs: Iterable<readonly [string, Uint8Array]>): [string, Buffer][] {
  const found = [...xattrs].filter(([name]) => isCarried(name));
  return found.map(([name, value]): [string, Buffer] => [name, Buffer.from(value)]).sort(([a], [b]) => byBytes(a, b));
}

export function copyXattrs(from: string, to: string): void {
  for (const [name, value] of xattrsOf(from)) setXattr(to, { name, value });
}

/** Leaves out what is not carried, and what the file system has no room for. */
export function setXattr(path: string, { name, value }: { name: string; value: Uint8Array }): void {
  if (!isCarried(name)) return;
  const problem = setOne(rawBytes(path), name, value);
  // user.* is for files and directories alone (xattr(7)).
  if (problem === undefined || problem === "ENOTSUP" || (problem === "EPERM" && name.startsWith("user."))) return;
  throw new EngineError("internal", `Cannot set ${name} of ${shown(path)}: ${problem}`);
}

/** Nanoseconds since 1970. */
export function setTimes(path: string, mtime: bigint): void {
  setBoth(rawBytes(path), { atime: mtime, mtime });
}

/** A fifo or device like the one that the stat is of. */
export function makeNodeLike(path: string, stat: Stat): void {
  if (stat.rdev === 0n && (Number(stat.mode) & constants.S_IFMT) === constants.S_IFCHR) throw deletionMark(path);
  made(path, makeNode(rawBytes(path), { mode: Number(stat.mode), ...deviceParts(stat.rdev) }));
}

const types = { fifo: constants.S_IFIFO, character: constants.S_IFCHR, block: constants.S_IFBLK };

export interface Device {
  readonly type: "fifo" | "character" | "block";
  readonly major: number;
  readonly minor: number;
}

export function makeDevice(path: string, { type, major, minor }: Device): void {
  if (type === "character" && major === 0 && minor === 0) throw deletionMark(path);
  made(path, makeNode(rawBytes(path), { mode: types[type] | 0o600, major, minor }));
}

/** What overlayfs shows nobody (Documentation/filesystems/overlayfs, "whiteouts"). */
function deletionMark(path: string): EngineError {
  const name = JSON.stringify(shown(path.slice(path.lastIndexOf("/") + 1)));
  return new EngineError("invalid", `cannot make ${name}: a character device 0:0 would mean a deletion`);
}

function made(path: string, problem: string | undefined): void {
  if (problem !== undefined) throw new EngineError("internal", `Cannot make ${shown(path)}: ${problem}`);
}

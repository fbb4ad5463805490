import * as fs from "node:fs";
import { byBytes, rawBytes } from "./raw.ts";

/** Synchronous file system calls on raw names (`raw.ts`), for worker jobs. */
export type Stat = fs.BigIntStats;

/** undefined when there is nothing, or something that is no directory is on the way. */
export function lstat(path: string): Stat | undefined {
  try {
    return fs.lstatSync(rawBytes(path), { bigint: true, throwIfNoEntry: false });
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw err;
  }
}

/** Names in byte order. */
export function readdir(path: string): string[] {
  const names = fs.readdirSync(rawBytes(path), { encoding: "buffer" });
  return names.map((name) => name.toString("latin1")).sort(byBytes);
}

export function readlink(path: string): string {
  return fs.readlinkSync(rawBytes(path), { encoding: "buffer" }).toString("latin1");
}

export function symlink(target: string, path: string): void {
  fs.symlinkSync(rawBytes(target), rawBytes(path));
}

export function link(existing: string, path: string): void {
  fs.linkSync(rawBytes(existing), rawBytes(path));
}

export function mkdir(path: string, mode: number): void {
  fs.mkdirSync(rawBytes(path), { mode });
}

export function open(path: string, flags: number, mode = 0o600): number {
  return fs.openSync(rawBytes(path), flags | fs.constants.O_NOFOLLOW, mode);
}

/** The target must not exist. Holes and reflinks are the kernel's business. */
export function copyFile(from: string, to: string): void {
  fs.copyFileSync(rawBytes(from), rawBytes(to), fs.constants.COPYFILE_EXCL);
}

export function remove(path: string): void {
  fs.rmSync(rawBytes(path), { recursive: true, force: true });
}

export function unlink(path: string): void {
  fs.unlinkSync(rawBytes(path));
}

/** Not for symlinks: chmod(2) follows them. */
export function chmod(path: string, mode: number): void {
  fs.chmodSync(rawBytes(path), mode);
}

export function lchown(path: string, owner: { uid: number; gid: number }): void {
  fs.lchownSync(rawBytes(path), owner.uid, owner.gid);
}

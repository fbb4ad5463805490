import * as fs from "node:fs";
import { copyData } from "../../host/mod.ts";
import { byBytes, rawBytes } from "./raw.ts";

/** Synchronous file system calls on raw names (`raw.ts`), for worker jobs. */
export type Stat = Pick<
  fs.BigIntStats,
  | ("dev" | "ino" | "mode" | "nlink" | "uid" | "gid" | "rdev" | "size" | "mtimeNs" | "ctimeNs")
  | ("isFile" | "isDirectory" | "isSymbolicLink" | "isSocket")
>;

/** Files that are described elsewhere than in the file system, for `lstat`, `readdir` and `readlink` below one path. */
export interface FileView {
  /** Raw path that nothing else has. */
  readonly root: string;
  lstat(path: string): Stat | undefined;
  readdir(path: string): string[];
  readlink(path: string): string;
  xattrs(path: string): [string, Buffer][];
  /** SHA-256 of a file's content, in hexadecimal. */
  digest(path: string): string;
  /** The first bytes of a file. */
  head(path: string, length: number): Buffer;
  remove(path: string): void;
}

let shownView: FileView | undefined;

/** While `body` runs, which is synchronous, the view's root is seen as if its files were there. */
export function through<T>(view: FileView, body: () => T): T {
  shownView = view;
  try {
    return body();
  } finally {
    shownView = undefined;
  }
}

/** The view that the path lies in. */
export function viewOf(path: string): FileView | undefined {
  const root = shownView?.root;
  if (root === undefined || !path.startsWith(root)) return undefined;
  return path.length === root.length || path[root.length] === "/" ? shownView : undefined;
}

/** undefined when there is nothing, or something that is no directory is on the way. */
export function lstat(path: string): Stat | undefined {
  const view = viewOf(path);
  if (view) return view.lstat(path);
  try {
    return fs.lstatSync(rawBytes(path), { bigint: true, throwIfNoEntry: false });
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENOTDIR") return undefined;
    throw err;
  }
}

/** Names in byte order. */
export function readdir(path: string): string[] {
  const view = viewOf(path);
  if (view) return view.readdir(path);
  const names = fs.readdirSync(rawBytes(path), { encoding: "buffer" });
  return names.map((name) => name.toString("latin1")).sort(byBytes);
}

export function readlink(path: string): string {
  const view = viewOf(path);
  if (view) return view.readlink(path);
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

/** Of a pipe it does not wait for another end. */
export function open(path: string, flags: number, mode = 0o600): number {
  const { O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  return fs.openSync(rawBytes(path), flags | O_NOFOLLOW | O_NONBLOCK, mode);
}

/** The first bytes of a file, as many as there are. */
export function readHead(path: string, length: number): Buffer {
  const view = viewOf(path);
  if (view) return view.head(path, length);
  const fd = open(path, fs.constants.O_RDONLY);
  try {
    const bytes = Buffer.alloc(length);
    let got = 0;
    for (let count = -1; count !== 0 && got < length; got += count)
      count = fs.readSync(fd, bytes, got, length - got, got);
    return bytes.subarray(0, got);
  } finally {
    fs.closeSync(fd);
  }
}

/** Bytes from which on a file is looked at for holes, and its copy can be stopped. */
const large = 1024 * 1024;

/** The target must not exist. Holes stay holes. */
export function copyFile(from: string, to: string, { size, check }: { size: bigint; check: () => void }): void {
  if (size < large) fs.copyFileSync(rawBytes(from), rawBytes(to), fs.constants.COPYFILE_EXCL);
  else copyLarge(from, { to, check });
}

function copyLarge(from: string, { to, check }: { to: string; check: () => void }): void {
  const source = open(from, fs.constants.O_RDONLY);
  try {
    const target = open(to, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL);
    try {
      copyData({ from: source, to: target, size: fs.fstatSync(source).size, check });
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(source);
  }
}

export function remove(path: string): void {
  const view = viewOf(path);
  if (view) view.remove(path);
  else fs.rmSync(rawBytes(path), { recursive: true, force: true });
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

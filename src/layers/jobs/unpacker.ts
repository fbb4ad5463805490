import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { makeNode, setTimes, setXattr } from "../../host/mod.ts";
import { type TarHeader, type TarSink, writePiece } from "../../stream/mod.ts";
import { describe, existed } from "./failures.ts";
import { isOverlayXattr, makeOpaque, metaPrefix, opaqueName, whiteout, whiteoutPrefix } from "./overlay.ts";
import { baseOf, fsPath, join, type LayerPath, layerPath, parentOf, show } from "./paths.ts";

export interface Unpacked {
  /** Directories that had to be made but have no entry; the root, "", is one of them. */
  readonly implied: LayerPath[];
  /** The layer hides everything below it. */
  readonly opaqueRoot: boolean;
  /** Extended attributes that the file system refused, the first few. */
  readonly warnings: string[];
}

const fileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const fileType = { character: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

/**
 * Writes a layer's entries into the thread's working directory, which is its root too (`confined`): a path through a
 * symlink, absolute or not, ends up inside whatever the archive does. A later entry replaces an earlier one of the same
 * name; a directory is kept with what is in it. A whiteout speaks of the layers below only: what the layer has under
 * that name itself stays, whatever the order.
 */
export class Unpacker implements TarSink {
  /** Paths that are known to be directories, or symlinks. */
  readonly #known = new Set<LayerPath>([""]);
  readonly #implied = new Set<LayerPath>([""]);
  readonly #whiteouts = new Set<LayerPath>();
  /** What waits for the end: a directory's time changes with what is put into it, its default ACL would change that. */
  readonly #directories = new Map<LayerPath, TarHeader>();
  readonly #warnings: string[] = [];
  #opaqueRoot = false;
  #file: { readonly fd: number; readonly path: LayerPath; readonly header: TarHeader; at: number } | undefined;

  entry(header: TarHeader): void {
    const path = layerPath(header.name);
    try {
      this.#entry(path, header);
    } catch (err) {
      throw describe(err, path);
    }
  }

  #entry(path: LayerPath, header: TarHeader): void {
    const base = baseOf(path);
    if (base === opaqueName) this.#hideAll(parentOf(path));
    else if (path.startsWith(metaPrefix) || path.includes(`/${metaPrefix}`)) return;
    else if (base.startsWith(whiteoutPrefix)) this.#hide(path, base.slice(whiteoutPrefix.length));
    else this.#create(path, header);
  }

  #create(path: LayerPath, header: TarHeader): void {
    if (path === "" && header.type !== "directory") throw new EngineError("invalid", "the root is not a directory");
    if (path !== "") this.#requireDirectory(parentOf(path));
    this.#make(path, header);
  }

  #make(path: LayerPath, header: TarHeader): void {
    const { type: kind } = header;
    switch (kind) {
      case "directory":
        this.#directory(path, header);
        break;
      case "file":
        this.#openFile(path, header);
        break;
      case "hardlink":
        this.#link(path, header);
        break;
      case "symlink":
        this.#symlink(path, header);
        break;
      case "character":
      case "block":
      case "fifo":
        this.#node(path, { ...header, type: kind });
        break;
      default:
        kind satisfies never;
    }
  }

  data(piece: Uint8Array): void {
    const file = this.#file;
    if (!file) return;
    try {
      writePiece(file, piece);
    } catch (err) {
      throw describe(err, file.path);
    }
  }

  hole(length: number): void {
    if (this.#file) this.#file.at += length;
  }

  end(): void {
    const file = this.#file;
    if (!file) return;
    const { fd, path, header } = file;
    try {
      if (header.size > 0n && BigInt(file.at) === header.size) ftruncateSync(fd, file.at);
      if (header.uid !== 0 || header.gid !== 0) fchownSync(fd, header.uid, header.gid);
      // chown(2) drops these bits.
      if (header.mode & 0o6000) fchmodSync(fd, header.mode);
      this.close();
      this.#setXattrs(path, header);
      setTimes(fsPath(path), { atime: header.mtime, mtime: header.mtime });
    } catch (err) {
      throw describe(err, path);
    }
  }

  /** Closes the file that is being written, if any. */
  close(): void {
    if (this.#file) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  /** After the last entry. */
  finish(): Unpacked {
    for (const [path, header] of this.#directories) {
      // It may have been replaced under another name, by way of a symlink.
      if (!lstatSync(fsPath(path), { throwIfNoEntry: false })?.isDirectory()) continue;
      if (header.mode & 0o2000) chmodSync(fsPath(path), header.mode);
      this.#setXattrs(path, header);
      setTimes(fsPath(path), { atime: header.mtime, mtime: header.mtime });
    }
    return { implied: [...this.#implied], opaqueRoot: this.#opaqueRoot, warnings: this.#warnings };
  }

  #openFile(path: LayerPath, header: TarHeader): void {
    const fd = this.#replacing(path, () => openSync(fsPath(path), fileFlags, header.mode));
    this.#file = { fd, path, header, at: 0 };
  }

  #directory(path: LayerPath, header: TarHeader): void {
    // What is made in a setgid directory would inherit its group: that bit waits for the end.
    const mode = header.mode & ~0o2000;
    const made = path !== "" && this.#mkdir(path, mode);
    if (header.uid !== 0 || header.gid !== 0 || !made) lchownSync(fsPath(path), header.uid, header.gid);
    if (!made || mode & 0o4000) chmodSync(fsPath(path), mode);
    this.#implied.delete(path);
    this.#directories.set(path, header);
    this.#known.add(path);
  }

  /** False when the directory is there already; anything else of that name is replaced. */
  #mkdir(path: LayerPath, mode: number): boolean {
    try {
      mkdirSync(fsPath(path), mode);
      return true;
    } catch (err) {
      if (!existed(err)) throw err;
    }
    if (lstatSync(fsPath(path)).isDirectory()) return false;
    const hidden = this.#whiteouts.has(path);
    this.#clear(path);
    mkdirSync(fsPath(path), mode);
    if (hidden) this.#setOpaque(path);
    return true;
  }

  #symlink(path: LayerPath, header: TarHeader): void {
    const target = Buffer.from(header.linkname ?? []);
    if (target.length === 0) throw new EngineError("invalid", "symlink to nothing");
    this.#replacing(path, () => symlinkSync(target, fsPath(path)));
    this.#setAttributes(path, header);
  }

  /** Its attributes are those of the file it names. */
  #link(path: LayerPath, header: TarHeader): void {
    const target = layerPath(header.linkname ?? new Uint8Array());
    const missing = new EngineError("invalid", `hard link to ${show(target)}, which is not in this layer`);
    if (target === path || this.#whiteouts.has(target)) throw missing;
    try {
      this.#replacing(path, () => linkSync(fsPath(target), fsPath(path)));
    } catch (err) {
      throw (err as NodeJS.ErrnoException).code === "ENOENT" ? missing : err;
    }
  }

  #node(path: LayerPath, header: TarHeader & { type: keyof typeof fileType }): void {
    const mode = fileType[header.type] | header.mode;
    const device = { mode, major: header.major ?? 0, minor: header.minor ?? 0 };
    this.#replacing(path, () => {
      const problem = makeNode(fsPath(path), device);
      if (problem) throw Object.assign(new Error(`mknod: ${problem}`), { code: problem });
    });
    this.#setAttributes(path, header);
  }

  #setAttributes(path: LayerPath, header: TarHeader): void {
    if (header.uid !== 0 || header.gid !== 0) lchownSync(fsPath(path), header.uid, header.gid);
    if (header.type !== "symlink" && header.mode & 0o6000) chmodSync(fsPath(path), header.mode);
    this.#setXattrs(path, header);
    setTimes(fsPath(path), { atime: header.mtime, mtime: header.mtime });
  }

  /** As Docker does, attributes that the file system cannot keep are left out, with a warning. */
  #setXattrs(path: LayerPath, { xattrs }: TarHeader): void {
    for (const [name, value] of xattrs ?? []) {
      if (isOverlayXattr(name)) continue;
      const problem = setXattr(fsPath(path), name, value);
      if (problem === "ENOTSUP" || problem === "EPERM") this.#warn(`${show(path)}: ${name}: ${problem}`);
      else if (problem) throw new EngineError("invalid", `extended attribute ${JSON.stringify(name)}: ${problem}`);
    }
  }

  #warn(text: string): void {
    if (this.#warnings.length < 5) this.#warnings.push(text);
  }

  /** Makes something that must be new, in the place of what has its name already. */
  #replacing<T>(path: LayerPath, make: () => T): T {
    try {
      return make();
    } catch (err) {
      if (!existed(err)) throw err;
    }
    this.#clear(path);
    return make();
  }

  #clear(path: LayerPath): void {
    this.#whiteouts.delete(path);
    const directory = lstatSync(fsPath(path)).isDirectory();
    if (directory) rmSync(fsPath(path), { recursive: true });
    else unlinkSync(fsPath(path));
    if (directory || this.#known.has(path)) this.#forget(path);
  }

  /** What is known of a path that was a directory, or a symlink that may have led to one. */
  #forget(path: LayerPath): void {
    const below = (other: LayerPath) => other === path || other.startsWith(`${path}/`);
    for (const set of [this.#implied, this.#whiteouts]) for (const other of set) if (below(other)) set.delete(other);
    for (const other of this.#directories.keys()) if (below(other)) this.#directories.delete(other);
    // Also what lay below by way of symlinks.
    this.#known.clear();
    this.#known.add("");
  }

  /** Makes a parent directory that has no entry (yet). A symlink may take its place. */
  #requireDirectory(path: LayerPath): void {
    if (this.#known.has(path)) return;
    this.#requireDirectory(parentOf(path));
    if (this.#whiteouts.has(path)) {
      if (this.#mkdir(path, 0o755)) this.#known.add(path);
      return;
    }
    try {
      mkdirSync(fsPath(path), 0o755);
      this.#implied.add(path);
    } catch (err) {
      if (!existed(err)) throw err;
    }
    this.#known.add(path);
  }

  #hide(path: LayerPath, name: string): void {
    const hidden = join(parentOf(path), name);
    if (name === "" || name === "." || name === "..") throw new EngineError("invalid", "a whiteout of no name");
    this.#requireDirectory(parentOf(path));
    const problem = makeNode(fsPath(hidden), whiteout);
    if (!problem) this.#whiteouts.add(hidden);
    else if (problem !== "EEXIST") throw Object.assign(new Error(`mknod: ${problem}`), { code: problem });
    else if (lstatSync(fsPath(hidden)).isDirectory()) this.#setOpaque(hidden);
  }

  #hideAll(path: LayerPath): void {
    if (path === "") this.#opaqueRoot = true;
    else {
      this.#requireDirectory(path);
      if (!lstatSync(fsPath(path)).isDirectory()) throw new EngineError("invalid", "an opaque mark in no directory");
      this.#setOpaque(path);
    }
  }

  /** Nothing of its namesakes below is seen, their attributes neither. */
  #setOpaque(path: LayerPath): void {
    const problem = makeOpaque(fsPath(path));
    if (problem) throw new EngineError("internal", `cannot mark a directory as opaque: ${problem}`);
    this.#implied.delete(path);
  }
}

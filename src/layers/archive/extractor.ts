import {
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { EngineError, type ErrorKind } from "../../errors/mod.ts";
import {
  changeDirectory,
  hardLink,
  makeNode,
  type Owner,
  rooted,
  setTimes,
  setXattr,
  walk,
  withFileIds,
} from "../../host/mod.ts";
import { type TarHeader, type TarSink, writePiece } from "../../stream/mod.ts";
import { describe, existed } from "../jobs/failures.ts";
import { isOverlayXattr } from "../jobs/overlay.ts";
import type { Owners } from "../jobs/owners.ts";
import { type ConfinedRoot, setDirectoryAttributes } from "./directory.ts";

export interface ExtractorOptions {
  readonly root: ConfinedRoot;
  /** Absolute in the root, without symlinks when it was looked at. */
  readonly base: string;
  readonly noOverwriteDirNonDir: boolean;
  /** The archive's entry for the directory itself, `./`, is heeded. Otherwise that keeps its attributes (moby `archive.Unpack`). */
  readonly itself?: boolean;
  /** As inside. */
  readonly owner?: Owner;
  /** Who that is outside, where it is somebody else. */
  readonly owners?: Owners;
}

const directoryFlags = 0o10000000 | constants.O_DIRECTORY;
const fileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const fileTypes = { character: 0o020000, block: 0o060000, fifo: 0o010000 } as const;
const here = Buffer.from(".");

/** Names are bytes, here strings of one character a byte ("latin1"), relative to the base: "" is the base itself. */
type Name = string;

/**
 * Writes an archive's entries into a directory of a root whose container may run and exchange anything at any moment. The
 * directory of each entry is opened by the kernel in the root (symlinks of a container's own, such as /var/run, are
 * followed there), and the rest is done to single names in it without following any. To be called inside `confined`.
 */
export class Extractor implements TarSink {
  /** Docker's own words for what the destination, not the archive, is to blame for. */
  refusal: EngineError | undefined;
  readonly #options: ExtractorOptions;
  /** The directory that was written to last, open. */
  #parent: { readonly name: Name; readonly fd: number } | undefined;
  /** Times of directories wait for the end: what is put into them changes them. */
  readonly #directories = new Map<Name, bigint>();
  #file:
    | { readonly fd: number; readonly name: Buffer; readonly header: TarHeader; readonly owner: Owner; at: number }
    | undefined;

  constructor(options: ExtractorOptions) {
    this.#options = options;
  }

  entry(header: TarHeader): void {
    const name = this.#nameOf(header.name);
    try {
      this.#entry(name, header);
    } catch (err) {
      throw explain(err, name);
    }
  }

  #entry(name: Name, header: TarHeader): void {
    if (name === "") {
      if (this.#options.itself && header.type === "directory") this.#itself(header);
      return;
    }
    const at = name.lastIndexOf("/");
    this.#enter(name.slice(0, Math.max(0, at)));
    const last = Buffer.from(name.slice(at + 1), "latin1");
    const there = lstatSync(last, { bigint: true, throwIfNoEntry: false });
    const entry = { name, last, header, owner: this.#ownerOf(name, header) };
    if (there) this.#makeRoom({ ...entry, there });
    this.#make(entry);
  }

  #nameOf(bytes: Uint8Array): Name {
    const text = Buffer.from(bytes).toString("latin1");
    const parts: string[] = [];
    for (const part of text.split("/")) {
      if (part === "" || part === ".") continue;
      if (part !== "..") parts.push(part);
      else if (parts.pop() === undefined && !text.startsWith("/")) {
        throw new EngineError("invalid", `${quoted(text)} is outside of ${quoted(this.#options.base)}`);
      }
    }
    return parts.join("/");
  }

  /** Makes it the working directory, with what is missing of it. */
  #enter(name: Name): void {
    if (this.#parent?.name === name) {
      changeDirectory(this.#parent.fd);
      return;
    }
    this.#leave();
    const path = Buffer.from(`${this.#base()}/${name}/.`, "latin1");
    let fd = this.#options.root.open(path, directoryFlags);
    if (fd < 0) {
      const owner = this.#outside({ uid: 0, gid: 0 }, name);
      this.#making(owner, () => rooted("/").mkdirs(path.toString(), { mode: 0o755, ...owner }));
      fd = this.#options.root.open(path, directoryFlags);
    }
    if (fd < 0) throw new EngineError("invalid", `${quoted(name)} is not a directory`);
    this.#parent = { name, fd };
    changeDirectory(fd);
  }

  #base(): string {
    return Buffer.from(this.#options.base).toString("latin1");
  }

  #leave(): void {
    if (this.#parent) closeSync(this.#parent.fd);
    this.#parent = undefined;
  }

  #makeRoom({ name, last, there, header }: Entry & { readonly there: BigIntStats }): void {
    const [was, becomes] = [there.isDirectory(), header.type === "directory"];
    const { noOverwriteDirNonDir, base } = this.#options;
    if (was && becomes) return;
    if (noOverwriteDirNonDir && was !== becomes) {
      const [old, other] = was ? ["directory", "non-directory"] : ["non-directory", "directory"];
      const path = quoted(`${base === "/" ? "" : this.#base()}/${name}`);
      this.refusal = new EngineError(
        "invalid",
        `cannot overwrite ${old} ${path} with ${other} ${quoted(this.#base())}`,
      );
      throw this.refusal;
    }
    if (was) this.#removeDirectory(last);
    else unlinkSync(last);
  }

  #removeDirectory(last: Buffer): void {
    const parent = openSync(here, directoryFlags);
    try {
      const fd = openSync(last, directoryFlags | constants.O_NOFOLLOW);
      try {
        changeDirectory(fd);
      } finally {
        closeSync(fd);
      }
      walk({
        entry: ({ name, stat }) => {
          if (!stat.isDirectory()) unlinkSync(name);
          return stat.isDirectory();
        },
        left: ({ name }) => rmdirSync(name),
      });
      changeDirectory(parent);
      rmdirSync(last);
    } finally {
      closeSync(parent);
    }
  }

  #make({ name, last, header, owner }: Entry): void {
    const { type: kind } = header;
    switch (kind) {
      case "file":
        this.#file = {
          fd: this.#making(owner, () => openSync(last, fileFlags, header.mode)),
          ...{ name: last, header, owner, at: 0 },
        };
        break;
      case "directory":
        this.#directory({ name, last, header, owner });
        break;
      case "symlink":
        this.#making(owner, () => symlinkSync(Buffer.from(header.linkname ?? []), last));
        this.#finishNamed({ name, last, header, owner });
        break;
      case "hardlink":
        this.#link({ name, last, header, owner });
        break;
      case "character":
      case "block":
      case "fifo":
        made(this.#making(owner, () => makeNode(last, { ...device(header), mode: fileTypes[kind] | header.mode })));
        this.#finishNamed({ name, last, header, owner });
        break;
      default: {
        kind satisfies never;
      }
    }
  }

  #directory({ name, last, header, owner }: Entry): void {
    try {
      this.#making(owner, () => mkdirSync(last, header.mode));
    } catch (err) {
      if (!existed(err)) throw err;
    }
    setDirectoryAttributes(last, { ...owner, mode: header.mode });
    this.#setXattrs(last, header);
    this.#directories.set(name, header.mtime);
  }

  #itself(header: TarHeader): void {
    this.#enter("");
    setDirectoryAttributes(here, { ...this.#ownerOf("", header), mode: header.mode });
    this.#setXattrs(here, header);
    this.#directories.set("", header.mtime);
  }

  #link({ last, header, owner }: Entry): void {
    const target = this.#nameOf(header.linkname ?? new Uint8Array());
    const at = target.lastIndexOf("/");
    const directory = Buffer.from(`${this.#base()}/${target.slice(0, Math.max(0, at))}/.`, "latin1");
    const from = this.#options.root.open(directory, directoryFlags);
    if (from < 0) throw new EngineError("invalid", `hard link to ${quoted(target)}, which is not there`);
    try {
      const existing = Buffer.from(target.slice(at + 1), "latin1");
      made(this.#making(owner, () => hardLink(from, { existing, name: last })));
    } finally {
      closeSync(from);
    }
  }

  /** Of what cannot be opened: the mode is right since it was made. */
  #finishNamed({ last, header, owner }: Entry): void {
    lchownSync(last, owner.uid, owner.gid);
    this.#setXattrs(last, header);
    setTimes(last, { atime: header.mtime, mtime: header.mtime });
  }

  data(piece: Uint8Array): void {
    const file = this.#file;
    if (!file) return;
    try {
      writePiece(file, piece);
    } catch (err) {
      throw explain(err, file.name.toString("latin1"));
    }
  }

  hole(length: number): void {
    if (this.#file) this.#file.at += length;
  }

  end(): void {
    const file = this.#file;
    if (!file) return;
    const { fd, name, header, owner, at } = file;
    try {
      ftruncateSync(fd, at);
      fchownSync(fd, owner.uid, owner.gid);
      // chown(2) drops the set-id bits.
      fchmodSync(fd, header.mode);
      this.#file = undefined;
      closeSync(fd);
      if (this.#parent) changeDirectory(this.#parent.fd);
      this.#setXattrs(name, header);
      setTimes(name, { atime: header.mtime, mtime: header.mtime });
    } catch (err) {
      // Its container may have moved it already.
      if (lstatSync(name, { throwIfNoEntry: false })) throw explain(err, name.toString("latin1"));
    }
  }

  #ownerOf(name: Name, { uid, gid }: TarHeader): Owner {
    return this.#outside(this.#options.owner ?? { uid, gid }, name);
  }

  #outside(owner: Owner, name: Name): Owner {
    const { owners } = this.#options;
    return owners ? this.#allowed(() => owners.outside(owner, `entry ${quoted(name)}`)) : owner;
  }

  /** Not the archive is to blame for those whom the user namespace does not have. */
  #allowed<T>(translate: () => T): T {
    try {
      return translate();
    } catch (err) {
      if (err instanceof EngineError) this.refusal = err;
      throw err;
    }
  }

  /** In a file system of a user namespace, only somebody who has an id there can make anything. */
  #making<T>(owner: Owner, make: () => T): T {
    return this.#options.owners ? withFileIds(owner, make) : make();
  }

  /** As Docker does, attributes that the file system cannot keep are left out. */
  #setXattrs(last: Buffer, { xattrs }: TarHeader): void {
    for (const [key, value] of xattrs ?? []) {
      if (isOverlayXattr(key) || key === "security.selinux") continue;
      const problem = setXattr(last, key, this.#attribute(last, { key, value }));
      if (problem && !["ENOTSUP", "EPERM", "ENOENT"].includes(problem))
        throw new EngineError("invalid", `extended attribute ${JSON.stringify(key)}: ${problem}`);
    }
  }

  #attribute(last: Buffer, { key, value }: { readonly key: string; readonly value: Uint8Array }): Uint8Array {
    const { owners } = this.#options;
    const of = `entry ${quoted(last.toString("latin1"))}: extended attribute ${key}`;
    return owners ? this.#allowed(() => owners.attributeOutside(key, value, { of })) : value;
  }

  /** After the last entry. */
  finish(): void {
    this.#leave();
    for (const [name, mtime] of [...this.#directories].reverse()) {
      if (this.#options.root.enter(Buffer.from(`${this.#base()}/${name}/.`, "latin1"))) continue;
      setTimes(here, { atime: mtime, mtime });
    }
  }

  /** After a failure: the file that was being written goes. */
  abandon(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file) closeSync(file.fd);
    if (file && this.#parent) {
      changeDirectory(this.#parent.fd);
      if (lstatSync(file.name, { throwIfNoEntry: false })?.isFile()) unlinkSync(file.name);
    }
    this.#leave();
  }
}

interface Entry {
  readonly name: Name;
  readonly last: Buffer;
  readonly header: TarHeader;
  /** On the host. */
  readonly owner: Owner;
}

function device({ major = 0, minor = 0 }: TarHeader): { readonly major: number; readonly minor: number } {
  return { major, minor };
}

function made(problem: string | undefined): void {
  if (problem) throw Object.assign(new Error(problem), { code: problem });
}

function explain(err: unknown, name: Name): unknown {
  if (err instanceof EngineError) return err;
  const { code } = err as NodeJS.ErrnoException;
  const told = (kind: ErrorKind, why: string) => new EngineError(kind, `entry ${quoted(name)}: ${why}`, { cause: err });
  if (code === "EROFS") return told("forbidden", "read-only file system");
  if (code === "EBUSY") return told("conflict", "device or resource busy (something is mounted there)");
  return describe(err, name);
}

/** For messages. */
function quoted(name: string): string {
  return JSON.stringify(Buffer.from(name, "latin1").toString());
}

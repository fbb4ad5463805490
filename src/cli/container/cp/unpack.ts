import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { EngineError } from "../../../errors/mod.ts";
import { type TarHeader, type TarSink, writePiece } from "../../../stream/mod.ts";
import type { Plan } from "./paths.ts";
import { renamed } from "./rename.ts";

export interface UnpackerOptions extends Plan {
  /** mknod(2), which only few archives need. Returns why not. */
  readonly makeNode: (path: Buffer, node: { mode: number; major: number; minor: number }) => string | undefined;
}

const fileFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const fileTypes = { character: 0o020000, block: 0o060000, fifo: 0o010000 } as const;

/**
 * Writes a container's archive below a local directory. The archive is hostile: names with `..` are refused, and nothing
 * is written through a symlink below the directory, whoever made it. Files belong to the user; a directory is never
 * replaced by something else, nor the other way round.
 */
export class LocalUnpacker implements TarSink {
  readonly #options: UnpackerOptions;
  readonly #root: string;
  /** Names of real directories below the root; forgotten when a name is given to something else. */
  readonly #known = new Set<string>([""]);
  /** Attributes of directories wait for the end: one that is read-only could not be filled. */
  readonly #directories = new Map<string, TarHeader>();
  #file: { readonly fd: number; readonly path: Buffer; readonly header: TarHeader; at: number } | undefined;

  constructor(options: UnpackerOptions) {
    this.#options = options;
    this.#root = Buffer.from(options.directory).toString("latin1").replace(/\/+$/, "");
  }

  entry(given: TarHeader): void {
    const header = renamed(given, this.#options.rename);
    const name = nameOf(header.name, this.#options.directory);
    if (name === "") return;
    this.#requireDirectory(name.slice(0, Math.max(0, name.lastIndexOf("/"))));
    this.#makeRoom(name, header);
    this.#make(name, header);
  }

  #path(name: string): Buffer {
    return Buffer.from(`${this.#root}/${name}`, "latin1");
  }

  #requireDirectory(name: string): void {
    if (this.#known.has(name)) return;
    this.#requireDirectory(name.slice(0, Math.max(0, name.lastIndexOf("/"))));
    const stat = lstatSync(this.#path(name), { throwIfNoEntry: false });
    if (!stat) mkdirSync(this.#path(name), 0o755);
    else if (!stat.isDirectory()) throw new EngineError("conflict", `${shown(this.#path(name))} is not a directory`);
    this.#known.add(name);
  }

  #makeRoom(name: string, header: TarHeader): void {
    const path = this.#path(name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat) return;
    const [was, becomes] = [stat.isDirectory(), header.type === "directory"];
    if (was && becomes) return;
    if (was !== becomes) {
      const [old, other] = was ? ["directory", "non-directory"] : ["non-directory", "directory"];
      const { directory } = this.#options;
      throw new EngineError(
        "conflict",
        `cannot overwrite ${old} ${shown(path)} with ${other} ${JSON.stringify(directory)}`,
      );
    }
    unlinkSync(path);
  }

  #make(name: string, header: TarHeader): void {
    const path = this.#path(name);
    const { type: kind } = header;
    switch (kind) {
      case "file":
        this.#file = { fd: openSync(path, fileFlags, header.mode & 0o777), path, header, at: 0 };
        break;
      case "directory":
        if (!lstatSync(path, { throwIfNoEntry: false })) mkdirSync(path, 0o700);
        this.#known.add(name);
        this.#directories.set(name, header);
        break;
      case "symlink":
        symlinkSync(Buffer.from(header.linkname ?? []), path);
        setTimes(path, header.mtime);
        break;
      case "hardlink":
        this.#link(path, header);
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

  #link(path: Buffer, header: TarHeader): void {
    const target = nameOf(header.linkname ?? new Uint8Array(), this.#options.directory);
    this.#requireDirectory(target.slice(0, Math.max(0, target.lastIndexOf("/"))));
    linkSync(this.#path(target), path);
  }

  #node(path: Buffer, header: TarHeader & { readonly type: keyof typeof fileTypes }): void {
    const { major = 0, minor = 0 } = header;
    const problem = this.#options.makeNode(path, { mode: fileTypes[header.type] | header.mode, major, minor });
    if (problem) throw new EngineError("forbidden", `mknod ${shown(path)} (a ${header.type} file): ${problem}`);
    chmodSync(path, header.mode);
    setTimes(path, header.mtime);
  }

  data(piece: Uint8Array): void {
    if (this.#file) writePiece(this.#file, piece);
  }

  hole(length: number): void {
    if (this.#file) this.#file.at += length;
  }

  end(): void {
    const file = this.#file;
    if (!file) return;
    this.#file = undefined;
    try {
      ftruncateSync(file.fd, file.at);
      fchmodSync(file.fd, file.header.mode);
    } finally {
      closeSync(file.fd);
    }
    setTimes(file.path, file.header.mtime);
  }

  /** After the last entry. */
  finish(): void {
    for (const [name, header] of [...this.#directories].reverse()) {
      chmodSync(this.#path(name), header.mode);
      setTimes(this.#path(name), header.mtime);
    }
  }

  /** After a failure: the file that was being written goes. */
  abandon(): void {
    if (!this.#file) return;
    closeSync(this.#file.fd);
    unlinkSync(this.#file.path);
    this.#file = undefined;
  }
}

function nameOf(bytes: Uint8Array, directory: string): string {
  const text = Buffer.from(bytes).toString("latin1");
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (!parts.includes("..")) return parts.join("/");
  throw new EngineError(
    "invalid",
    `${JSON.stringify(String(Buffer.from(bytes)))} is outside of ${JSON.stringify(directory)}`,
  );
}

function setTimes(path: Buffer, mtime: bigint): void {
  const seconds = Number(mtime) / 1e9;
  lutimesSync(path, seconds, seconds);
}

function shown(path: Buffer): string {
  return JSON.stringify(String(path));
}

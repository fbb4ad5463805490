import { closeSync, constants, ftruncateSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import type { JobContext } from "../../host/mod.ts";
import { type TarHeader, type TarSink, writePiece } from "../../stream/mod.ts";
import { makeDevice, setTimes, setXattr } from "./attributes.ts";
import * as fs from "./fs.ts";
import { makeDirectory, type Owner } from "./place.ts";
import { shown } from "./raw.ts";
import { inScope } from "./scope.ts";

export interface ExtractOptions {
  /** Raw path of the root: no symlink leads out of it. */
  readonly root: string;
  /** Raw path of the directory inside the root that names are relative to; it exists. */
  readonly base: string;
  /** True for archives of ADD; the files of a context belong to the daemon. */
  readonly owners: boolean;
  readonly context: JobContext;
}

const rootOwner: Owner = { uid: 0, gid: 0 };

/** Unpacks a hostile archive: names with `..` are refused, symlinks lead no further than the root, extended attributes that mean something to the kernel are left out. */
export class Extractor implements TarSink {
  readonly #options: ExtractOptions;
  /** Resolved directories; forgotten whenever a symlink comes or a name is replaced. */
  readonly #parents = new Map<string, string>();
  readonly #directories: { path: string; mtime: bigint }[] = [];
  #file: { fd: number; size: number; at: number } | undefined;
  #current: { path: string; header: TarHeader } | undefined;

  constructor(options: ExtractOptions) {
    this.#options = options;
  }

  entry(header: TarHeader): void {
    this.#options.context.check();
    this.#current = undefined;
    const parts = partsOf(header.name);
    const name = parts.pop();
    if (name === undefined) return;
    try {
      const path = `${this.#parent(parts.join("/"))}/${name}`;
      this.#current = { path, header };
      this.#make(path, header);
    } catch (err) {
      throw explained(err);
    }
  }

  data(piece: Uint8Array): void {
    if (this.#file) writePiece(this.#file, piece);
  }

  hole(length: number): void {
    if (this.#file) this.#file.at += length;
  }

  end(): void {
    const file = this.#file;
    const current = this.#current;
    this.#file = undefined;
    if (!current) return;
    if (file) {
      ftruncateSync(file.fd, file.at);
      closeSync(file.fd);
    }
    this.#attributes(current);
  }

  /** Times of directories last: what is put into them changes them. */
  finish(): void {
    for (const { path, mtime } of this.#directories.reverse()) {
      if (fs.lstat(path)?.isDirectory()) setTimes(path, mtime);
    }
  }

  /** After a failure: nothing is finished, but the file that was being written is closed. */
  abandon(): void {
    if (this.#file) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  #parent(name: string): string {
    const known = this.#parents.get(name);
    if (known !== undefined) return known;
    const { root, base } = this.#options;
    const path = makeDirectory(`${base}/${name}`, { root, owner: rootOwner, link: false });
    this.#parents.set(name, path);
    return path;
  }

  #make(path: string, header: TarHeader): void {
    this.#clear(path, header);
    switch (header.type) {
      case "file": {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
        this.#file = { fd: fs.open(path, flags), size: Number(header.size), at: 0 };
        break;
      }
      case "directory":
        if (!fs.lstat(path)) fs.mkdir(path, 0o755);
        break;
      case "symlink":
        fs.symlink(linkText(header), path);
        this.#parents.clear();
        break;
      case "hardlink":
        fs.link(this.#linkTarget(header), path);
        break;
      case "fifo":
      case "character":
      case "block":
        makeDevice(path, { type: header.type, major: header.major ?? 0, minor: header.minor ?? 0 });
        break;
      default:
        header.type satisfies never;
    }
  }

  #clear(path: string, header: TarHeader): void {
    const there = fs.lstat(path);
    if (!there || (there.isDirectory() && header.type === "directory")) return;
    if (there.isDirectory()) fs.remove(path);
    else fs.unlink(path);
    this.#parents.clear();
  }

  #linkTarget(header: TarHeader): string {
    const { root, base } = this.#options;
    const target = inScope(root, `${base}/${partsOf(header.linkname ?? new Uint8Array()).join("/")}`, {
      followLast: false,
    });
    const stat = fs.lstat(target);
    if (stat && !stat.isDirectory()) return target;
    throw new EngineError(
      "invalid",
      `hard link to ${JSON.stringify(linkText(header))}, which the archive does not hold`,
    );
  }

  #attributes({ path, header }: { path: string; header: TarHeader }): void {
    if (this.#options.owners) fs.lchown(path, { uid: header.uid, gid: header.gid });
    if (header.type !== "symlink") fs.chmod(path, header.mode);
    for (const [name, value] of header.xattrs ?? []) setXattr(path, { name, value });
    if (header.type === "directory") this.#directories.push({ path, mtime: header.mtime });
    else setTimes(path, header.mtime);
  }
}

/** What the archive is to blame for; other failures of calls are as they are. */
function explained(err: unknown): unknown {
  const code = err instanceof Error && "code" in err ? String(err.code) : "";
  const isFault = ["ENAMETOOLONG", "ELOOP", "EINVAL", "EMLINK", "ENOTDIR"].includes(code);
  return isFault ? new EngineError("invalid", `cannot make it: ${code}`, { cause: err }) : err;
}

function linkText(header: TarHeader): string {
  return Buffer.from(header.linkname ?? []).toString("latin1");
}

/** No file system has a path that is longer (path_resolution(7), PATH_MAX). */
export const longestPath = 4096;

function partsOf(name: Uint8Array): string[] {
  const text = Buffer.from(name).toString("latin1");
  if (text.length > longestPath) {
    const start = JSON.stringify(shown(text.slice(0, 100)));
    throw new EngineError("invalid", `invalid name in archive: ${start}… has ${text.length} bytes`);
  }
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (!parts.includes("..") && !text.includes("\0")) return parts;
  throw new EngineError("invalid", `invalid name in archive: ${JSON.stringify(shown(text))} points outside`);
}

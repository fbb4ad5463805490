import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { confined } from "../confined.ts";
import { systemError } from "../errno.ts";
import type { Job, JobContext } from "../host.ts";
import { errno, libc } from "../libc.ts";
import { deviceParts, makeNode, readXattrs, setTimes, setXattr } from "./attributes.ts";
import { copyData, dataRanges } from "./copy-data.ts";

export { copyData, dataRanges };

export interface TreeCopy {
  /** A directory; its last component is not followed when it is a symlink. */
  readonly from: string;
  /** A directory, made if it is missing. What it has already stays; a file of the same name is a "conflict". */
  readonly to: string;
}

/**
 * Copies what is in a directory, and the directory's own attributes: owners, modes, exact times, extended attributes, hard
 * links, symlinks, devices, fifos, holes. Sockets are left out. Symlinks are never followed on either side: both are
 * walked by open directories, so that trees may be deeper than PATH_MAX. Reports now and then how many bytes of files it has
 * copied, holes counted.
 */
export const copyTree: Job<TreeCopy, void> = {
  name: "copyTree",
  // Entered not to confine but to have a working directory of the thread's own, and umask 0.
  run: (input, context) => confined("/", () => new Copier(input, context).run()),
};

/** Milliseconds between reports of how many bytes of files were copied. */
const reportInterval = 100;
const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

interface Level {
  readonly names: Buffer[];
  readonly stat: BigIntStats;
  readonly targetStat: BigIntStats;
  /** In the parent; undefined for the root. */
  readonly name?: Buffer;
  readonly path: Buffer;
}

class Copier {
  readonly #input: TreeCopy;
  readonly #context: JobContext;
  readonly #links = new Map<string, Buffer>();
  #bytes = 0;
  #told = Number.NEGATIVE_INFINITY;
  #source = -1;
  #target = -1;

  constructor(input: TreeCopy, context: JobContext) {
    this.#input = input;
    this.#context = context;
  }

  run(): void {
    if (!lstatSync(this.#input.to, { throwIfNoEntry: false })) mkdirSync(this.#input.to, 0o700);
    this.#source = openSync(this.#input.from, directoryFlags);
    try {
      this.#target = openSync(this.#input.to, directoryFlags);
      this.#walk();
    } finally {
      closeSync(this.#source);
      if (this.#target >= 0) closeSync(this.#target);
    }
  }

  #walk(): void {
    const stack = [this.#level(Buffer.alloc(0))];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const name = top.names.pop();
      if (name) {
        this.#context.check();
        if (this.#copy(name, top)) stack.push(this.#descend(name, top));
        continue;
      }
      stack.pop();
      const parent = stack.at(-1);
      if (parent && top.name) this.#ascend(top.name, { from: top, to: parent });
      else this.#finish(Buffer.from("."), top.stat);
    }
  }

  #level(path: Buffer, name?: Buffer): Level {
    const level = {
      stat: fstatSync(this.#source, { bigint: true }),
      targetStat: fstatSync(this.#target, { bigint: true }),
    };
    enter(this.#source);
    const names = (readdirSync(".", { encoding: "buffer" }) as Buffer[]).sort(Buffer.compare).reverse();
    return { ...level, names, path, ...(name && { name }) };
  }

  #descend(name: Buffer, parent: Level): Level {
    this.#open(name, name);
    const path = Buffer.concat([parent.path, name, Buffer.of(0x2f)]);
    return this.#level(path, name);
  }

  #ascend(name: Buffer, { from, to }: { from: Level; to: Level }): void {
    this.#open("..", "..");
    for (const [fd, expected] of [
      [this.#source, to.stat],
      [this.#target, to.targetStat],
    ] as const) {
      const { dev, ino } = fstatSync(fd, { bigint: true });
      if (dev !== expected.dev || ino !== expected.ino) throw moved(name);
    }
    enter(this.#source);
    this.#finish(name, from.stat);
  }

  /** Replaces both open directories by what these names are in them. */
  #open(inSource: Buffer | string, inTarget: Buffer | string): void {
    const swap = (fd: number, name: Buffer | string) => {
      enter(fd);
      const next = openSync(name as string, directoryFlags);
      closeSync(fd);
      return next;
    };
    this.#source = swap(this.#source, inSource);
    this.#target = swap(this.#target, inTarget);
  }

  /** Copies one entry; true for a directory, which is then to be entered. */
  #copy(name: Buffer, level: Level): boolean {
    enter(this.#source);
    const stat = lstatSync(name, { bigint: true, throwIfNoEntry: false });
    if (!stat || stat.isSocket()) return false;
    if (stat.isDirectory()) {
      this.#makeDirectory(name);
      return true;
    }
    if (this.#linked(name, { stat, level })) return false;
    this.#make(name, stat);
    enter(this.#source);
    this.#finish(name, stat);
    return false;
  }

  #makeDirectory(name: Buffer): void {
    enter(this.#target);
    if (!lstatSync(name, { throwIfNoEntry: false })?.isDirectory()) creating(name, () => mkdirSync(name, 0o700));
  }

  /** True when it was made as a link to a file that was copied before. */
  #linked(name: Buffer, { stat, level }: { stat: BigIntStats; level: Level }): boolean {
    if (stat.nlink < 2n) return false;
    const key = `${stat.dev}:${stat.ino}`;
    const first = this.#links.get(key);
    if (!first) {
      this.#links.set(key, Buffer.concat([Buffer.from(`${this.#input.to}/`), level.path, name]));
      return false;
    }
    if (first.length > 4095) return false; // beyond PATH_MAX it becomes a file of its own
    enter(this.#target);
    creating(name, () => linkSync(first, name));
    return true;
  }

  #make(name: Buffer, stat: BigIntStats): void {
    if (stat.isFile()) this.#makeFile(name);
    else if (stat.isSymbolicLink()) this.#makeSymlink(name);
    else this.#makeNode(name, stat);
  }

  #makeSymlink(name: Buffer): void {
    const link = readlinkSync(name, { encoding: "buffer" }) as Buffer;
    enter(this.#target);
    creating(name, () => symlinkSync(link, name));
  }

  #makeNode(name: Buffer, stat: BigIntStats): void {
    enter(this.#target);
    const problem = makeNode(name, { mode: Number(stat.mode), ...deviceParts(stat.rdev) });
    if (problem) throw failed(name, problem);
  }

  #makeFile(name: Buffer): void {
    const from = openSync(name, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(from);
      if (!stat.isFile()) throw moved(name);
      enter(this.#target);
      const to = creating(name, () => openSync(name, "wx", 0o600));
      try {
        copyData({ from, to, size: stat.size, check: this.#context.check });
        this.#tell(stat.size);
      } finally {
        closeSync(to);
      }
    } finally {
      closeSync(from);
    }
  }

  #tell(size: number): void {
    this.#bytes += size;
    const now = performance.now();
    if (now - this.#told < reportInterval) return;
    this.#told = now;
    this.#context.report(this.#bytes);
  }

  /** Attributes last: writing changes times, chown(2) drops setuid and capabilities. Expects to be in the source. */
  #finish(name: Buffer, stat: BigIntStats): void {
    const xattrs = readXattrs(name);
    enter(this.#target);
    lchownSync(name, Number(stat.uid), Number(stat.gid));
    if (!stat.isSymbolicLink()) chmodSync(name, Number(stat.mode & 0o7777n));
    for (const [key, value] of xattrs) {
      const problem = setXattr(name, key, value);
      if (problem && problem !== "ENOTSUP") throw failed(name, `${key}: ${problem}`);
    }
    setTimes(name, { atime: stat.atimeNs, mtime: stat.mtimeNs });
  }
}

function enter(fd: number): void {
  if (libc.fchdir(fd) !== 0) throw systemError("Enter a directory", errno());
}

function creating<T>(name: Buffer, make: () => T): T {
  try {
    return make();
  } catch (err) {
    throw failed(name, (err as NodeJS.ErrnoException).code ?? String(err));
  }
}

function failed(name: Buffer, why: string): EngineError {
  const kind = why === "EEXIST" ? "conflict" : "internal";
  return new EngineError(kind, `Cannot copy ${JSON.stringify(String(name))}: ${why}`);
}

function moved(name: Buffer): EngineError {
  return new EngineError("conflict", `${JSON.stringify(String(name))} was moved while it was copied`);
}

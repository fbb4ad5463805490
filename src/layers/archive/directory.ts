import {
  type BigIntStats,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lstatSync,
  openSync,
  readlinkSync,
  statfsSync,
} from "node:fs";
import { getSystemErrorName } from "node:util";
import { EngineError } from "../../errors/mod.ts";
import { changeDirectory, openBelow } from "../../host/mod.ts";
import type { AskedPath } from "./path.ts";

const O_PATH = 0o10000000;
const directoryFlags = O_PATH | constants.O_DIRECTORY;
/** As many links as the kernel follows (path_resolution(7)). */
const maxLinks = 40;

/** Types of file systems that show the kernel's own things (statfs(2), linux/magic.h). */
const kernelFileSystems: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
  0x1cd1, // devpts
  0x19800202, // mqueue
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0xcafe4a11, // bpf
  0x6165676c, // pstore
  0x62656570, // configfs
  0xde5e81e4, // efivarfs
  0x42494e4d, // binfmt_misc
  0x6e736673, // nsfs
]);

/**
 * The root that `confined` made, by descriptor: paths are resolved in it by the kernel, following symlinks as a process inside
 * would, but for those of /proc, which lead to the roots of other processes. All other calls are on single names in the
 * working directory, and follow nothing: what the container exchanges meanwhile changes what is found, never where.
 */
export class ConfinedRoot implements Disposable {
  readonly #root = openSync("/", directoryFlags);
  readonly #hiddenDev: bigint | undefined;

  constructor({ hideDev }: { readonly hideDev: boolean }) {
    const dev = hideDev ? lstatSync("/dev", { bigint: true, throwIfNoEntry: false }) : undefined;
    const root = lstatSync("/", { bigint: true });
    if (dev && dev.dev !== root.dev) this.#hiddenDev = dev.dev;
  }

  [Symbol.dispose](): void {
    closeSync(this.#root);
  }

  /** A descriptor, or the negative errno. */
  open(path: string | Uint8Array, flags: number): number {
    return openBelow(this.#root, path, flags);
  }

  /** Makes a directory the working directory. Returns why not: "ENOENT" …; undefined for success. */
  enter(path: string | Uint8Array): string | undefined {
    const fd = this.open(path, directoryFlags);
    if (fd < 0) return getSystemErrorName(fd);
    try {
      changeDirectory(fd);
      return undefined;
    } finally {
      closeSync(fd);
    }
  }

  /** What is at the path, whose parent becomes the working directory. Throws as `statPath` says. */
  find(path: AskedPath): BigIntStats {
    const problem = this.enter(path.parent);
    if (problem === "ENOENT") throw notFound(path);
    if (problem) {
      const kind = problem === "EACCES" ? "forbidden" : "invalid";
      throw new EngineError(kind, `lstat ${path.full}: ${words[problem] ?? problem}`);
    }
    const stat = lstatSync(path.base, { bigint: true, throwIfNoEntry: false });
    if (!stat || this.#isHiddenHere(path.base, stat)) throw notFound(path);
    return stat;
  }

  /** Whether it lies in one of those; a mount point in it or of it, an empty directory, does not. */
  #isHiddenHere(name: string, { dev }: BigIntStats): boolean {
    const here = lstatSync(".", { bigint: true });
    if (!this.isHidden(".", here)) return false;
    return name === "." ? lstatSync("..", { bigint: true }).dev === here.dev : dev === here.dev;
  }

  /** True for a directory of a file system that is not the container's, but the kernel's or the runtime's. */
  isHidden(name: string | Buffer, stat: BigIntStats): boolean {
    if (stat.dev === this.#hiddenDev) return true;
    try {
      return kernelFileSystems.has(Number(statfsSync(name).type));
    } catch (err) {
      if (["ENOENT", "ELOOP", "ENOTDIR"].includes((err as NodeJS.ErrnoException).code ?? "")) return false;
      throw err;
    }
  }

  /** Where a path leads with all symlinks followed, by name; what does not exist is taken as it is written. */
  follow(path: string): string {
    const done: string[] = [];
    const todo = components(path);
    let links = 0;
    while (todo.length > 0) {
      const name = todo.shift() ?? "";
      if (name === "..") {
        done.pop();
        continue;
      }
      const target = this.#linkAt(done, name);
      if (target === undefined) {
        done.push(name);
        continue;
      }
      if (++links > maxLinks) throw new EngineError("invalid", `too many levels of symbolic links in ${path}`);
      if (target.startsWith("/")) done.length = 0;
      todo.unshift(...components(target));
    }
    return `/${done.join("/")}`;
  }

  #linkAt(directory: readonly string[], name: string): string | undefined {
    if (this.enter(`/${directory.join("/")}`)) return undefined;
    try {
      return readlinkSync(name);
    } catch {
      return undefined; // no symlink, or nothing
    }
  }
}

const words: Readonly<Record<string, string>> = {
  ENOTDIR: "not a directory",
  ELOOP: "too many levels of symbolic links",
  ENAMETOOLONG: "file name too long",
  EACCES: "permission denied",
};

export function notFound({ full }: AskedPath): EngineError {
  return new EngineError("not-found", `Could not find the file ${full}`);
}

function components(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

export interface Attributes {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** Of a directory in the working directory; a symlink of that name is not followed. */
export function setDirectoryAttributes(name: Buffer, { uid, gid, mode }: Attributes): void {
  const fd = openSync(name, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    fchownSync(fd, uid, gid);
    fchmodSync(fd, mode);
  } finally {
    closeSync(fd);
  }
}

import { type BigIntStats, closeSync, fstatSync, lstatSync, readlinkSync, readSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { deviceParts, type Found, type IdMap, type RegularFiles, readXattrs, walk } from "../../host/mod.ts";
import { encodeTarHeader, type TarHeader, type TarType, tarEnd, tarPadding } from "../../stream/mod.ts";
import { isOpaque, isOverlayXattr, isWhiteout, opaqueName, whiteoutPrefix } from "./overlay.ts";
import { Owners } from "./owners.ts";

export interface PackerOptions {
  /** The directory is a layer: overlayfs' marks become whiteout entries. */
  readonly layer: boolean;
  /** Whose ids are written: those that owners have inside of a user namespace. */
  readonly owners?: IdMap;
  /** Latest modification time, in nanoseconds since 1970. */
  readonly latest?: bigint;
  /** Bytes that there is room for: holes take none in a file, and do in an archive. */
  readonly room?: bigint;
  /** Cuts off parts of seconds, which take an extended header for each entry. */
  readonly wholeSeconds?: boolean;
  /** Opens what is packed: made outside of `confined`. */
  readonly files: RegularFiles;
  /** Whether to enter a directory that something else is mounted on; without it none is. */
  readonly crosses?: (found: Found) => boolean;
  write(bytes: Uint8Array): void;
  check(): void;
}

/** ENOENT, and ESTALE of a file that was removed under overlayfs. */
const vanished: ReadonlySet<number> = new Set([2, 116]);

/** Marks of overlayfs that move content elsewhere; the engine's mounts turn these features off. */
const displaced = ["trusted.overlay.redirect", "trusted.overlay.metacopy"];

/**
 * Writes what is below the thread's working directory as a tar archive: directories before what is in them, names in the
 * order of their bytes, so that the same files give the same archive. Left out are sockets, and what is mounted below
 * unless `crosses` says otherwise. What is being changed meanwhile is packed as it is found, or left out.
 */
export class Packer {
  readonly #options: PackerOptions;
  readonly #owners: Owners | undefined;
  /** First names of files that have several. */
  readonly #links = new Map<string, Buffer>();
  readonly #buffer = Buffer.allocUnsafeSlow(256 * 1024);
  #entries = 0;
  #size = 0n;
  #device: bigint | undefined;
  #prefix: Uint8Array = new Uint8Array();

  constructor(options: PackerOptions) {
    this.#options = options;
    this.#owners = options.owners && new Owners(options.owners);
  }

  /** A file or directory of the working directory, under another name: "" and "." of a directory are its own. */
  one(name: Buffer<ArrayBuffer>, as: Buffer<ArrayBuffer>): void {
    const stat = lstatSync(name, { bigint: true, throwIfNoEntry: false });
    if (!stat) return;
    this.#prefix = as;
    this.#device = stat.dev;
    this.#entry({ name, directory: Buffer.alloc(0), stat }, as);
  }

  /** What is below the working directory, with a prefix before each name. Returns how many entries there were. */
  run(prefix: Uint8Array = new Uint8Array()): number {
    this.#prefix = prefix;
    this.#device = lstatSync(".", { bigint: true }).dev;
    walk({ entry: (found) => this.#entry(found) });
    this.#options.write(tarEnd);
    return this.#entries;
  }

  #entry(found: Found, path = Buffer.concat([this.#prefix, found.directory, found.name])): boolean {
    const { name, directory, stat } = found;
    this.#options.check();
    if (stat.isSocket()) return false;
    if (this.#options.layer && this.#mark({ name, directory, stat })) return false;
    const link = this.#linkTo(path, stat);
    if (link) this.#header({ ...this.#base(path, stat), type: "hardlink", linkname: link });
    else if (stat.isFile()) this.#file(name, path);
    else this.#special({ name, path, stat });
    if (!stat.isDirectory()) return false;
    if (stat.dev !== this.#device && !this.#options.crosses?.(found)) return false;
    if (this.#options.layer && isOpaque(name)) this.#empty(Buffer.concat([path, Buffer.from(`/${opaqueName}`)]));
    return true;
  }

  /** True when it stands for something deleted, which is then written. */
  #mark({ name, directory, stat }: Found): boolean {
    if (name.toString("latin1").startsWith(whiteoutPrefix)) {
      throw new EngineError(
        "invalid",
        `A layer cannot hold a file named ${JSON.stringify(String(name))}: it would mean a deletion`,
      );
    }
    if (!isWhiteout(stat)) return false;
    this.#empty(Buffer.concat([directory, Buffer.from(whiteoutPrefix), name]));
    return true;
  }

  #empty(name: Buffer): void {
    this.#header({ name, type: "file", mode: 0o600, uid: 0, gid: 0, size: 0n, mtime: 0n });
  }

  #linkTo(path: Buffer, stat: BigIntStats): Buffer | undefined {
    if (stat.nlink < 2n || stat.isDirectory()) return undefined;
    const key = `${stat.dev}:${stat.ino}`;
    const first = this.#links.get(key);
    if (!first) this.#links.set(key, path);
    return first;
  }

  #base(name: Buffer, stat: BigIntStats): TarHeader {
    const { latest } = this.#options;
    const time = latest !== undefined && stat.mtimeNs > latest ? latest : stat.mtimeNs;
    const mtime = this.#options.wholeSeconds ? time - (time % 1_000_000_000n) : time;
    const ids = { uid: Number(stat.uid), gid: Number(stat.gid) };
    const owner = this.#owners?.inside(ids) ?? ids;
    return { name, type: "file", mode: Number(stat.mode & 0o7777n), ...owner, size: 0n, mtime };
  }

  #special({ name, path, stat }: { name: Buffer; path: Buffer; stat: BigIntStats }): void {
    const type = specialType(stat);
    const header = { ...this.#base(path, stat), type, ...this.#xattrs(name) };
    if (type === "symlink") {
      const linkname = readLink(name);
      if (linkname) this.#header({ ...header, linkname });
    } else if (type === "character" || type === "block") this.#header({ ...header, ...deviceParts(stat.rdev) });
    else this.#header(header);
  }

  #xattrs(name: Buffer): Pick<TarHeader, "xattrs"> {
    const all = readXattrs(name);
    if (all.size === 0) return {};
    for (const key of displaced) {
      if (all.has(key))
        throw new EngineError("not-implemented", `${JSON.stringify(String(name))} has ${key}, which cannot be packed`);
    }
    // A label belongs to this host's policy, not to the file.
    const kept = [...all].filter(([key]) => !isOverlayXattr(key) && key !== "security.selinux");
    const xattrs = this.#owners ? kept.flatMap(([key, value]) => this.#inside(key, value)) : kept;
    return xattrs.length > 0 ? { xattrs: new Map(xattrs) } : {};
  }

  #inside(key: string, value: Uint8Array): [string, Uint8Array][] {
    const inside = this.#owners?.attributeInside(key, value);
    return inside ? [[key, inside]] : [];
  }

  /**
   * A file that something writes to meanwhile is as long as it was when it was opened, padded with zeroes if it shrinks;
   * one that vanishes, or becomes something else, is left out.
   */
  #file(name: Buffer, path: Buffer): void {
    const fd = this.#options.files.open(name);
    if (fd === undefined || vanished.has(-fd)) return;
    if (fd < 0) throw new EngineError("internal", `Open ${JSON.stringify(String(path))}: errno ${-fd}`);
    try {
      const stat = fstatSync(fd, { bigint: true });
      this.#requireRoom(path, stat.size);
      this.#header({ ...this.#base(path, stat), size: stat.size, ...this.#xattrs(name) });
      this.#content(fd, Number(stat.size));
      this.#options.write(tarPadding(stat.size));
    } finally {
      closeSync(fd);
    }
  }

  #requireRoom(path: Buffer, size: bigint): void {
    const { room } = this.#options;
    this.#size += size;
    if (room === undefined || this.#size <= room) return;
    const what = `${JSON.stringify(String(path))} takes ${size} bytes in a layer, holes included`;
    throw new EngineError("unavailable", `no space left on device: ${what}, and there are ${room} bytes left`);
  }

  #content(fd: number, size: number): void {
    for (let left = size; left > 0; ) {
      this.#options.check();
      const wanted = Math.min(left, this.#buffer.length);
      const got = readSync(fd, this.#buffer, 0, wanted, null);
      if (got === 0) this.#buffer.fill(0, 0, wanted);
      this.#options.write(this.#buffer.subarray(0, got || wanted));
      left -= got || wanted;
    }
  }

  #header(header: TarHeader): void {
    this.#entries++;
    this.#options.write(encodeTarHeader(header));
  }
}

/** undefined when it has vanished or has become something else. */
function readLink(name: Buffer): Buffer | undefined {
  try {
    return readlinkSync(name, { encoding: "buffer" }) as Buffer;
  } catch (err) {
    if (["ENOENT", "EINVAL"].includes((err as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw err;
  }
}

function specialType(stat: BigIntStats): TarType {
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isFIFO()) return "fifo";
  return stat.isBlockDevice() ? "block" : "character";
}

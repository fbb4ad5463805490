import { EngineError } from "../errors/mod.ts";

/** Values of mount(2)'s flags (linux/mount.h); they are part of the kernel's ABI and the same on every architecture. */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOSYMFOLLOW: 256,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  REC: 16384,
  SILENT: 32768,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  IVERSION: 1 << 23,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;

const set: ReadonlyMap<string, number> = new Map([
  ["ro", MS.RDONLY],
  ["nosuid", MS.NOSUID],
  ["nodev", MS.NODEV],
  ["noexec", MS.NOEXEC],
  ["sync", MS.SYNCHRONOUS],
  ["remount", MS.REMOUNT],
  ["mand", MS.MANDLOCK],
  ["dirsync", MS.DIRSYNC],
  ["nosymfollow", MS.NOSYMFOLLOW],
  ["noatime", MS.NOATIME],
  ["nodiratime", MS.NODIRATIME],
  ["bind", MS.BIND],
  ["rbind", MS.BIND | MS.REC],
  ["silent", MS.SILENT],
  ["relatime", MS.RELATIME],
  ["iversion", MS.IVERSION],
  ["strictatime", MS.STRICTATIME],
  ["lazytime", MS.LAZYTIME],
]);

const clear: ReadonlyMap<string, number> = new Map([
  ["defaults", 0],
  ["rw", MS.RDONLY],
  ["suid", MS.NOSUID],
  ["dev", MS.NODEV],
  ["exec", MS.NOEXEC],
  ["async", MS.SYNCHRONOUS],
  ["nomand", MS.MANDLOCK],
  ["symfollow", MS.NOSYMFOLLOW],
  ["atime", MS.NOATIME],
  ["diratime", MS.NODIRATIME],
  ["loud", MS.SILENT],
  ["norelatime", MS.RELATIME],
  ["noiversion", MS.IVERSION],
  ["nostrictatime", MS.STRICTATIME],
  ["nolazytime", MS.LAZYTIME],
]);

const propagation: ReadonlyMap<string, number> = new Map([
  ["private", MS.PRIVATE],
  ["rprivate", MS.PRIVATE | MS.REC],
  ["shared", MS.SHARED],
  ["rshared", MS.SHARED | MS.REC],
  ["slave", MS.SLAVE],
  ["rslave", MS.SLAVE | MS.REC],
  ["unbindable", MS.UNBINDABLE],
  ["runbindable", MS.UNBINDABLE | MS.REC],
]);

/** mount(8)'s words, sorted by what the kernel wants done with them. */
export interface MountWords {
  readonly flags: number;
  /** Flags that a word such as "rw" switched off; a later "ro" takes the bit back. */
  readonly cleared: number;
  /** One mount(2) call each, in this order, after the mount itself (mount(2): "exactly one propagation type"). */
  readonly propagation: readonly number[];
  /** What the file system itself is told. */
  readonly data: readonly string[];
}

/** Later words win over earlier ones, as with mount(8). */
export function parseMountOptions(options: readonly string[]): MountWords {
  let flags = 0;
  let cleared = 0;
  const propagations: number[] = [];
  const data: string[] = [];
  for (const word of options) {
    const on = set.get(word);
    const off = clear.get(word);
    const way = propagation.get(word);
    if (on !== undefined) {
      flags |= on;
      cleared &= ~on;
    } else if (off !== undefined) {
      flags &= ~off;
      cleared |= off;
    } else if (way !== undefined) propagations.push(way);
    else if (word !== "") data.push(word);
  }
  return { flags, cleared, propagation: propagations, data };
}

/** mount_setattr(2)'s attributes (linux/mount.h). */
const ATTR_ATIME = 0x70;
const attributes: readonly (readonly [number, number])[] = [
  [MS.RDONLY, 0x1],
  [MS.NOSUID, 0x2],
  [MS.NODEV, 0x4],
  [MS.NOEXEC, 0x8],
  [MS.NODIRATIME, 0x80],
  [MS.NOSYMFOLLOW, 0x200000],
];
const atimes: readonly (readonly [number, number])[] = [
  [MS.RELATIME, 0],
  [MS.NOATIME, 0x10],
  [MS.STRICTATIME, 0x20],
];
const attributeFlags = [...attributes, ...atimes].reduce((all, [flag]) => all | flag, 0);

/** What a bind mount changes about its own attributes; `set` and `clear` are mount_setattr(2)'s words. */
export interface MountAttributes {
  readonly set: number;
  readonly clear: number;
}

/**
 * The attributes of a bind mount. A fresh bind only adds ("rw" there means "as it is"), a remount also takes away.
 * Throws "invalid" for a word that a bind mount would ignore in silence.
 */
export function bindAttributes(words: MountWords): MountAttributes {
  const ignored = words.flags & ~(attributeFlags | MS.BIND | MS.REC | MS.REMOUNT | MS.SILENT);
  if (words.data.length > 0 || ignored !== 0) {
    const what = words.data.join(",") || namesOf(ignored);
    throw new EngineError("invalid", `A bind mount cannot have the option ${what}`);
  }
  const remount = (words.flags & MS.REMOUNT) !== 0;
  let on = translate(attributes, words.flags);
  let off = remount ? translate(attributes, words.cleared) : 0;
  if (atimes.some(([flag]) => words.flags & flag)) {
    on |= translate(atimes, words.flags);
    off |= ATTR_ATIME;
  }
  return { set: on, clear: off };
}

function translate(table: readonly (readonly [number, number])[], flags: number): number {
  return table.reduce((bits, [flag, attribute]) => (flags & flag ? bits | attribute : bits), 0);
}

function namesOf(flags: number): string {
  return [...set]
    .filter(([, flag]) => flags & flag)
    .map(([word]) => word)
    .join(",");
}

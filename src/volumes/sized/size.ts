import { EngineError } from "../../errors/mod.ts";
import { parseBytes } from "../../flags/mod.ts";
import type { DriverOptions } from "../mounts/options.ts";

const GiB = 2 ** 30;
/** Of ext4 as we make it (mkfs.ext4 -b, -I). */
export const blockSize = 4096;
export const inodeSize = 256;
/** The kernel keeps some 80 MB in memory for one, and mkfs.ext4 takes seconds. */
const largest = 64 * 2 ** 40;
const journalSizes = { smallest: 4, largest: 64 } as const;

/** The most bytes that a volume's files may have, as its options say; 0 without a limit. */
export function limitOf({ size, type, device }: DriverOptions): number {
  return size === undefined || type || device ? 0 : parseBytes(size);
}

/** A size that a volume can be limited to; 0 is no limit. Throws "invalid" in Docker's words. */
export function parseLimit(what: string, text: string): number {
  const refuse = (why: string, cause?: unknown) =>
    new EngineError("invalid", `${what}: invalid size: '${text}'${why}`, { cause });
  const bytes = parsed(text, (cause) => refuse("", cause));
  if (bytes > largest) throw refuse(": a volume has at most 64 TiB");
  if (bytes > 0 && bytes < blockSize) throw refuse(`: a volume has at least ${blockSize} bytes`);
  return bytes;
}

function parsed(text: string, refusal: (cause: unknown) => EngineError): number {
  try {
    return parseBytes(text);
  } catch (err) {
    throw refusal(err);
  }
}

/** The file system for a volume with a limit. */
export interface DiskPlan {
  /** Length of the file, which has holes wherever nothing was written. */
  readonly bytes: number;
  readonly inodes: number;
  readonly journalMiB: number;
}

/**
 * A disk has room to grow: to 64 GiB or 16 times its limit, but not beyond the host's whole file system, which it could not
 * fill. Room costs a little memory while it is mounted (some 150 bytes for each 128 MiB). There is an inode for every 16 KiB of
 * the limit and for every 64 KiB of the room: their tables are not part of the limit, and should not become large either.
 */
export function diskPlan(limit: number, hostBytes: number): DiskPlan {
  const room = Math.min(hostBytes, Math.max(64 * GiB, 16 * limit));
  const inodes = Math.ceil(Math.max(room / 65_536, limit / 16_384));
  const journalMiB = clamp(Math.ceil(limit / 32 / 2 ** 20), journalSizes);
  const own = journalMiB * 2 ** 20 + inodes * inodeSize + limit / 64 + 64 * 2 ** 20;
  const bytes = Math.max(room, limit + own);
  return { bytes: Math.ceil(bytes / blockSize) * blockSize, inodes, journalMiB };
}

function clamp(value: number, { smallest, largest }: { smallest: number; largest: number }): number {
  return Math.min(Math.max(value, smallest), largest);
}

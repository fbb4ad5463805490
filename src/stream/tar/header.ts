import { EngineError } from "../../errors/mod.ts";
import type { TarType } from "../stream.ts";
import { field, number } from "./numbers.ts";

export const blockSize = 512;

/** A 512-byte header as it stands, without what pax and GNU entries before it say. */
export interface RawHeader {
  readonly flag: string;
  readonly name: Buffer;
  readonly linkname: Buffer;
  readonly mode: number;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly size: bigint;
  /** Seconds. */
  readonly mtime: bigint;
  readonly major: bigint;
  readonly minor: bigint;
}

/** Throws "invalid" for a wrong checksum or number. */
export function parseHeader(block: Buffer): RawHeader {
  verifyChecksum(block);
  const posix = block.toString("latin1", 257, 263) === "ustar\0";
  const known = posix || block.toString("latin1", 257, 263) === "ustar ";
  return {
    flag: String.fromCharCode(block[156] ?? 0),
    name: posix ? joinPrefix(block) : copy(field(block, 0, 100)),
    linkname: copy(field(block, 157, 100)),
    mode: Number(number(block, 100, 8) & 0o7777n),
    uid: number(block, 108, 8),
    gid: number(block, 116, 8),
    size: number(block, 124, 12),
    mtime: number(block, 136, 12),
    major: known ? number(block, 329, 8) : 0n,
    minor: known ? number(block, 337, 8) : 0n,
  };
}

function copy(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}

/** star archives keep times in the last 24 bytes of the prefix and say so at the end of the block (tar(5), "star"). */
function joinPrefix(block: Buffer): Buffer {
  const star = block.toString("latin1", 508, 512) === "tar\0";
  const prefix = field(block, 345, star ? 131 : 155);
  const name = field(block, 0, 100);
  return prefix.length === 0 ? copy(name) : Buffer.concat([prefix, Buffer.of(0x2f), name]);
}

/** Signed sums are what some old programs wrote (POSIX says unsigned). */
function verifyChecksum(block: Buffer): void {
  const { unsigned, signed } = checksums(block);
  const stated = number(block, 148, 8);
  if (stated !== BigInt(unsigned) && stated !== BigInt(signed)) throw new EngineError("invalid", "bad header checksum");
}

/** Sums of all bytes, the checksum field itself counted as spaces. */
export function checksums(block: Uint8Array): { unsigned: number; signed: number } {
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let at = 0; at < blockSize; at++) {
    if (at === 148) at = 156;
    const byte = block[at] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  return { unsigned, signed: unsigned - high * 256 };
}

export function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/** What an entry of this flag is; undefined for those that say something about others. Throws "invalid" for unknown flags. */
export function typeOf(flag: string, name: Uint8Array): TarType {
  switch (flag) {
    case "\0": // before POSIX a directory was told by its slash
      return name.at(-1) === 0x2f ? "directory" : "file";
    case "0":
    case "7":
    case "S":
      return "file";
    case "1":
      return "hardlink";
    case "2":
      return "symlink";
    case "3":
      return "character";
    case "4":
      return "block";
    case "5":
    case "D":
      return "directory";
    case "6":
      return "fifo";
    default:
      throw new EngineError("invalid", `unknown entry type ${JSON.stringify(flag)}`);
  }
}

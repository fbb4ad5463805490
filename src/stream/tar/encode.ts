import { EngineError } from "../../errors/mod.ts";
import type { TarHeader, TarType } from "../stream.ts";
import { blockSize, checksums } from "./header.ts";
import { formatTime } from "./numbers.ts";
import { formatPax } from "./pax.ts";

const flags: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** Two empty blocks, which end an archive. */
export const tarEnd: Uint8Array = new Uint8Array(2 * blockSize);

/** Zero bytes that must follow a content of this size. */
export function tarPadding(size: bigint): Uint8Array {
  return tarEnd.subarray(0, Number(-size & BigInt(blockSize - 1)));
}

/**
 * An entry's header: one ustar block, with a pax header in front only for what ustar cannot say (long or non-ASCII
 * names, large numbers, parts of seconds, extended attributes). The same header gives the same bytes; users have
 * numbers and no names. Throws "invalid" for a NUL in a name.
 */
export function encodeTarHeader(header: TarHeader): Buffer {
  const name = header.type === "directory" ? Buffer.concat([header.name, Buffer.of(0x2f)]) : Buffer.from(header.name);
  const link = Buffer.from(header.linkname ?? []);
  if (name.includes(0) || link.includes(0))
    throw new EngineError("invalid", `NUL byte in the name ${JSON.stringify(String(name))}`);
  const records = paxRecords(header, { name, link });
  const block = ustar(header, { name, link });
  if (records.length === 0) return block;
  const data = formatPax(records);
  const pax = ustar({ ...paxHeader, size: BigInt(data.length) }, { name: paxName(name), link: Buffer.alloc(0) }, "x");
  return Buffer.concat([pax, data, tarPadding(BigInt(data.length)), block]);
}

interface Names {
  readonly name: Buffer;
  readonly link: Buffer;
}

const limits = { id: 0o7777777n, size: 0o77777777777n } as const;

function paxRecords(header: TarHeader, { name, link }: Names): [string, Uint8Array | string][] {
  const records: [string, Uint8Array | string][] = [];
  if (!splitName(name)) records.push(["path", name]);
  if (link.length > 100 || !isAscii(link)) records.push(["linkpath", link]);
  if (header.size > limits.size) records.push(["size", String(header.size)]);
  for (const key of ["uid", "gid"] as const) {
    if (BigInt(header[key]) > limits.id) records.push([key, String(header[key])]);
  }
  const seconds = header.mtime / 1_000_000_000n;
  if (header.mtime < 0n || header.mtime % 1_000_000_000n !== 0n || seconds > limits.size) {
    records.push(["mtime", formatTime(header.mtime)]);
  }
  const xattrs = [...(header.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, value] of xattrs) records.push([`SCHILY.xattr.${key}`, value]);
  return records;
}

const paxHeader: TarHeader = {
  name: new Uint8Array(),
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0n,
  mtime: 0n,
};

/** Only programs that do not know pax see this name. */
function paxName(name: Buffer): Buffer {
  const base = name.toString("latin1").split("/").filter(Boolean).at(-1) ?? "";
  return Buffer.from(`PaxHeaders/${base.replace(/[^ -~]/g, "_")}`.slice(0, 100));
}

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80);
}

/** The name and prefix fields for a name that ustar can hold. */
function splitName(name: Buffer): { prefix: Buffer; base: Buffer } | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= 100) return { prefix: Buffer.alloc(0), base: name };
  const slash = name.indexOf(0x2f, Math.max(1, name.length - 101));
  if (slash < 0 || slash > 155 || slash === name.length - 1) return undefined;
  return { prefix: name.subarray(0, slash), base: name.subarray(slash + 1) };
}

function ustar(header: TarHeader, { name, link }: Names, flag = flags[header.type]): Buffer {
  const block = Buffer.alloc(blockSize);
  const { prefix, base } = splitName(name) ?? { prefix: Buffer.alloc(0), base: name };
  block.set(base.subarray(0, 100), 0);
  octal(block, 100, { width: 8, value: BigInt(header.mode & 0o7777) });
  octal(block, 108, { width: 8, value: BigInt(header.uid) });
  octal(block, 116, { width: 8, value: BigInt(header.gid) });
  octal(block, 124, { width: 12, value: header.size });
  octal(block, 136, { width: 12, value: header.mtime / 1_000_000_000n });
  block.write(flag, 156, "latin1");
  block.set(link.subarray(0, 100), 157);
  block.write("ustar\x0000", 257, "latin1");
  octal(block, 329, { width: 8, value: BigInt(header.major ?? 0) });
  octal(block, 337, { width: 8, value: BigInt(header.minor ?? 0) });
  block.set(prefix, 345);
  octal(block, 148, { width: 7, value: BigInt(checksums(block).unsigned) });
  block[155] = 0x20;
  return block;
}

/** Digits and a NUL; 0 for what does not fit, which a pax record then says. */
function octal(block: Buffer, at: number, { width, value }: { width: number; value: bigint }): void {
  const digits = value < 0n ? "0" : value.toString(8);
  block.write((digits.length < width ? digits : "0").padStart(width - 1, "0"), at, "latin1");
}

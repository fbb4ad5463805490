import { EngineError } from "../../errors/mod.ts";
import type { TarHeader } from "../stream.ts";
import { type RawHeader, typeOf } from "./header.ts";
import { decimal, paxTime, safe } from "./numbers.ts";
import type { PaxRecords } from "./pax.ts";

/** What entries before it say about the next one. */
export interface Extensions {
  readonly pax: PaxRecords;
  readonly longName?: Buffer;
  readonly longLink?: Buffer;
}

const xattrPrefix = "SCHILY.xattr.";

/** The header with everything applied. `stored` is how many bytes of content follow in the archive. */
export function buildHeader(raw: RawHeader, said: Extensions): { header: TarHeader; stored: number } {
  const text = (key: string) => said.pax.get(key)?.toString("latin1") || undefined;
  const fullName = pick(said.pax.get("GNU.sparse.name"), said.pax.get("path"), said.longName) ?? raw.name;
  const type = typeOf(raw.flag, fullName);
  const name = withoutSlashes(fullName);
  const paxSize = text("size");
  const stated = paxSize === undefined ? safe(raw.size, "size") : decimal(paxSize, "size");
  // Links, devices and directories have no content whatever their size says (POSIX), GNU dump directories do.
  const stored = type === "file" || raw.flag === "D" ? stated : 0;
  const id = (key: "uid" | "gid") => {
    const value = text(key);
    return value === undefined ? safe(raw[key], key) : decimal(value, key);
  };
  const mtime = text("mtime");
  const header: TarHeader = {
    name,
    type,
    mode: raw.mode,
    uid: checkId(id("uid"), "uid"),
    gid: checkId(id("gid"), "gid"),
    size: type === "file" ? BigInt(stored) : 0n,
    mtime: mtime === undefined ? raw.mtime * 1_000_000_000n : paxTime(mtime),
    ...linkOf(raw, said, type),
    ...deviceOf(raw, type),
    ...xattrsOf(said.pax),
  };
  return { header, stored };
}

/** 2^32-1 means "leave as it is" to chown(2). */
function checkId(id: number, what: string): number {
  if (id >= 0xffffffff) throw new EngineError("invalid", `${what} ${id} is out of range`);
  return id;
}

function pick(...candidates: (Buffer | undefined)[]): Buffer | undefined {
  return candidates.find((value) => value !== undefined && value.length > 0);
}

function withoutSlashes(name: Buffer): Buffer {
  let end = name.length;
  while (end > 0 && name[end - 1] === 0x2f) end--;
  return name.subarray(0, end);
}

function linkOf(raw: RawHeader, said: Extensions, type: TarHeader["type"]): Pick<TarHeader, "linkname"> {
  if (type !== "symlink" && type !== "hardlink") return {};
  return { linkname: pick(said.pax.get("linkpath"), said.longLink) ?? raw.linkname };
}

function deviceOf(raw: RawHeader, type: TarHeader["type"]): Pick<TarHeader, "major" | "minor"> {
  if (type !== "character" && type !== "block") return {};
  return { major: safe(raw.major, "device number"), minor: safe(raw.minor, "device number") };
}

function xattrsOf(pax: PaxRecords): Pick<TarHeader, "xattrs"> {
  const xattrs = new Map<string, Uint8Array>();
  for (const [key, value] of pax) if (key.startsWith(xattrPrefix)) xattrs.set(key.slice(xattrPrefix.length), value);
  return xattrs.size > 0 ? { xattrs } : {};
}

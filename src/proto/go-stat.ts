import { create } from "@bufbuild/protobuf";
import { EngineError } from "../errors/mod.ts";
import type { TarHeader } from "../stream/mod.ts";
import * as fsutil from "./fsutil_pb.ts";
import { fileType, goMode, permissions } from "./go-mode.ts";

/** An entry's header from what fsutil says of a file; undefined for what no archive holds. Contexts belong to root. */
export function headerOf(stat: fsutil.Stat): TarHeader | undefined {
  const type = fileType(stat.mode);
  if (type === undefined) return undefined;
  if (stat.size < 0n) throw new EngineError("invalid", `${shownPath(stat)} has a size below 0`);
  const hasLink = stat.linkname.length > 0;
  const isLink = type === "file" && hasLink;
  const xattrs = new Map(Object.entries(stat.xattrs));
  return {
    name: rawBytes(rawText(stat.path).replace(/\/+$/, "")),
    type: isLink ? "hardlink" : type,
    mode: permissions(stat.mode),
    uid: 0,
    gid: 0,
    size: type === "file" && !isLink ? stat.size : 0n,
    mtime: stat.modTime,
    ...(hasLink && { linkname: stat.linkname }),
    ...((type === "character" || type === "block") && { major: Number(stat.devmajor), minor: Number(stat.devminor) }),
    ...(xattrs.size > 0 && { xattrs }),
  };
}

/** The same the other way; undefined for the root, which is the client's own directory. */
export function statOf(header: TarHeader): fsutil.Stat | undefined {
  const path = rawText(header.name)
    .replace(/^(?:\.\/)+/, "")
    .replace(/\/+$/, "");
  if (path === "" || path === ".") return undefined;
  const link = rawText(header.linkname ?? new Uint8Array());
  return create(fsutil.StatSchema, {
    path: rawBytes(path),
    mode: goMode(header.type, header.mode),
    uid: header.uid,
    gid: header.gid,
    size: header.size,
    modTime: header.mtime,
    linkname: rawBytes(header.type === "hardlink" ? link.replace(/^(?:\.\/)+/, "") : link),
    devmajor: BigInt(header.major ?? 0),
    devminor: BigInt(header.minor ?? 0),
  });
}

/** The path for an error's text. */
export function shownPath({ path }: fsutil.Stat): string {
  return JSON.stringify(Buffer.from(path).toString("utf8"));
}

/** A character a byte: names need not be UTF-8. */
function rawText(name: Uint8Array): string {
  return Buffer.from(name).toString("latin1");
}

function rawBytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

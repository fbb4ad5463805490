import type { BigIntStats } from "node:fs";
import { type FilePath, readXattr, setXattr } from "../../host/mod.ts";

/** Overlayfs' own marks (kernel, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"). */
const opaque = "trusted.overlay.opaque";

/** A deleted name is a character device 0/0. */
export function isWhiteout(stat: BigIntStats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0n;
}

/** What a whiteout is made with. */
export const whiteout = { mode: 0o020000 } as const;

/** A directory whose namesakes below are hidden. */
export function isOpaque(path: FilePath): boolean {
  return readXattr(path, opaque)?.[0] === 0x79;
}

/** Returns why not. */
export function makeOpaque(path: FilePath): string | undefined {
  return setXattr(path, opaque, Buffer.from("y"));
}

/** Attributes that say something to overlayfs and nothing about the file: never taken from an archive nor put into one. */
export function isOverlayXattr(name: string): boolean {
  return name.startsWith("trusted.overlay.") || name.startsWith("user.overlay.");
}

/** Names in archives (OCI image-spec, layer.md, "Whiteouts"). */
export const whiteoutPrefix = ".wh.";
export const opaqueName = ".wh..wh..opq";
/** Other names that begin so are aufs' bookkeeping. */
export const metaPrefix = ".wh..wh.";

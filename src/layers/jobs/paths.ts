import { EngineError } from "../../errors/mod.ts";

/**
 * Paths in layers are bytes. Here they are strings of one character a byte ("latin1"), relative to the layer's root and
 * without `.`, `..` and doubled slashes; the root is "".
 */
export type LayerPath = string;

/** The path of an entry's name. Absolute names count from the root, as Docker takes them. Throws "invalid" for one that leads out. */
export function layerPath(name: Uint8Array): LayerPath {
  const text = Buffer.from(name.buffer, name.byteOffset, name.length).toString("latin1");
  if (text !== "" && !/(^|\/)(\.|\/|$)/.test(text)) return text;
  const parts: string[] = [];
  for (const part of text.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw new EngineError("invalid", `${show(text)} leads out of the layer`);
  }
  return parts.join("/");
}

const ascii = /^[\0-\x7f]*$/;

/** What the file system calls take: relative to the working directory, which is the layer's root. */
export function fsPath(path: LayerPath): string | Buffer {
  if (path === "") return ".";
  return ascii.test(path) ? path : Buffer.from(path, "latin1");
}

export function parentOf(path: LayerPath): LayerPath {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

export function baseOf(path: LayerPath): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

export function join(parent: LayerPath, name: string): LayerPath {
  return parent === "" ? name : `${parent}/${name}`;
}

/** For messages. */
export function show(path: LayerPath): string {
  return JSON.stringify(Buffer.from(path, "latin1").toString());
}

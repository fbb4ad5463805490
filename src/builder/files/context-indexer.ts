import { createHash, type Hash } from "node:crypto";
import type { TarHeader, TarSink } from "../../stream/mod.ts";
import { carriedOf } from "./attributes.ts";
import { type ContextNode, ContextTree } from "./context-tree.ts";
import { longestPath } from "./extract.ts";

/** A tree of more takes more memory than it saves work. */
const mostEntries = 1_000_000;

/**
 * Makes a tree of a context's archive while that is read. Where a tree cannot say what unpacking would do (names that lead out
 * or through links, hard links, holes, devices, one name for things of several types) `odd` becomes true, and the archive must be unpacked.
 */
export class ContextIndexer implements TarSink {
  readonly tree = new ContextTree();
  odd = false;
  #entries = 0;
  #file:
    | { readonly path: string; readonly header: TarHeader; readonly hash: Hash; size: number; offset: number }
    | undefined;
  #pushed: { readonly bytes: Uint8Array; readonly at: number } = { bytes: new Uint8Array(), at: 0 };

  /** To be called before `bytes` go to the decoder: they are what follows byte `at` of the archive. */
  pushing(bytes: Uint8Array, at: number): void {
    this.#pushed = { bytes, at };
  }

  entry(header: TarHeader): void {
    this.#file = undefined;
    const path = cleanPath(header.name);
    if (path === undefined || ++this.#entries > mostEntries) this.odd = true;
    if (this.odd || path === undefined) return;
    if (header.type === "file") this.#file = { path, header, hash: createHash("sha256"), size: 0, offset: 0 };
    else this.#put(path, bareNode(header));
  }

  data(piece: Uint8Array): void {
    const file = this.#file;
    if (!file) return;
    const { bytes, at } = this.#pushed;
    if (piece.buffer !== bytes.buffer) this.odd = true;
    if (file.size === 0) file.offset = at + piece.byteOffset - bytes.byteOffset;
    file.hash.update(piece);
    file.size += piece.length;
  }

  hole(): void {
    this.odd = true;
  }

  end(): void {
    const file = this.#file;
    if (!file) return;
    const { size, offset } = file;
    this.#put(file.path, { ...baseOf(file.header), type: "file", size, offset, digest: file.hash.digest("hex") });
  }

  #put(path: string, node: ContextNode | undefined): void {
    if (!node || !this.tree.put(path, node)) this.odd = true;
  }
}

function bareNode(header: TarHeader): ContextNode | undefined {
  if (header.type === "directory") return { ...baseOf(header), type: "directory", children: new Map() };
  if (header.type !== "symlink") return undefined;
  const target = Buffer.from(header.linkname ?? []).toString("latin1");
  return { ...baseOf(header), mode: 0o777, type: "symlink", target };
}

function baseOf({ mode, mtime, xattrs }: TarHeader): Pick<ContextNode, "mode" | "mtime" | "xattrs"> {
  const carried = carriedOf(xattrs ?? []);
  return { mode, mtime, ...(carried.length > 0 && { xattrs: carried }) };
}

/** Raw; undefined for what unpacking refuses by name. */
function cleanPath(name: Uint8Array): string | undefined {
  if (name.length > longestPath) return undefined;
  const text = Buffer.from(name).toString("latin1");
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") || text.includes("\0") ? undefined : parts.join("/");
}

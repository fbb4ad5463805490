import { posix } from "node:path";
import type { TarHeader, TarSink } from "../../stream/mod.ts";
import { byBytes } from "./raw.ts";

/** Where a file's content lies: in which layer, and from which byte on. */
export interface ContentPlace {
  readonly layer: number;
  readonly offset: number;
}

/** One name of the merged layer. */
interface Name {
  /** undefined: a directory that is only on the way, or a name that is deleted below. */
  header?: TarHeader;
  place?: ContentPlace;
  /** The file that it is another name of. */
  link?: Name;
  /** A directory that hides what is below. */
  opaque: boolean;
  deleted: boolean;
  readonly children: Map<string, Name>;
}

export interface MergedEntry {
  readonly header: TarHeader;
  readonly place?: ContentPlace;
}

const [mark, opaqueMark] = [".wh.", ".wh..wh..opq"];

/**
 * Puts layers on top of each other into one that does the same to what is below (OCI image-spec, "Layer"): the last of a
 * name counts, and what one of them deletes stays deleted. Told of the layers' archives, lowest first.
 */
export class LayerMerger implements TarSink {
  readonly #root: Name = { opaque: false, deleted: false, children: new Map() };
  #layer = -1;
  #current: Name | undefined;
  #pushed: { readonly bytes: Uint8Array; readonly at: number } = { bytes: new Uint8Array(), at: 0 };

  nextLayer(): void {
    this.#layer++;
  }

  /** To be called before `bytes` go to the decoder: they are what follows byte `at` of the layer. */
  pushing(bytes: Uint8Array, at: number): void {
    this.#pushed = { bytes, at };
  }

  entry(header: TarHeader): void {
    this.#current = undefined;
    const path = Buffer.from(header.name).toString("latin1");
    const parent = this.#directory(posix.dirname(path));
    const name = posix.basename(path);
    if (name === opaqueMark) {
      parent.children.clear();
      parent.opaque = true;
    } else if (name.startsWith(mark)) parent.children.set(name.slice(mark.length), deletedName());
    else this.#put(parent, { name, header });
  }

  data(piece: Uint8Array): void {
    const name = this.#current;
    const { bytes, at } = this.#pushed;
    if (name && !name.place) name.place = { layer: this.#layer, offset: at + piece.byteOffset - bytes.byteOffset };
  }

  hole(): void {
    throw new TypeError("layers of a build have no holes");
  }

  end(): void {
    this.#current = undefined;
  }

  /** Everything in the order of an archive: directories first, names in byte order, of several names of a file one with its content first. */
  *entries(): Generator<MergedEntry> {
    yield* this.#below(this.#root, { path: "", written: new Map() });
  }

  #put(parent: Name, { name, header }: { name: string; header: TarHeader }): void {
    const there = parent.children.get(name);
    const isDirectory = header.type === "directory";
    const goesOn = isDirectory && there !== undefined && isOpen(there);
    // What was deleted or replaced below must not show through a directory of that name.
    const fresh: Name = { opaque: isDirectory && there !== undefined, deleted: false, children: new Map() };
    const made = goesOn ? there : fresh;
    made.header = header;
    if (header.type === "hardlink") made.link = this.#target(header);
    parent.children.set(name, made);
    this.#current = header.type === "file" ? made : undefined;
  }

  #target(header: TarHeader): Name {
    const path = Buffer.from(header.linkname ?? []).toString("latin1");
    const target = this.#directory(posix.dirname(path)).children.get(posix.basename(path));
    if (!target?.header) throw new TypeError(`a layer has a link to ${JSON.stringify(path)}, which it does not hold`);
    return target.link ?? target;
  }

  #directory(path: string): Name {
    let at = this.#root;
    for (const name of path.split("/")) {
      if (name === "" || name === ".") continue;
      const next = at.children.get(name) ?? { opaque: false, deleted: false, children: new Map() };
      at.children.set(name, next);
      at = next;
    }
    return at;
  }

  *#below(directory: Name, walk: { path: string; written: Map<Name, string> }): Generator<MergedEntry> {
    for (const [name, node] of [...directory.children].sort(([a], [b]) => byBytes(a, b))) {
      const path = walk.path === "" ? name : `${walk.path}/${name}`;
      if (node.deleted) yield { header: markHeader(posix.join(walk.path, mark + name)) };
      else if (node.header) yield this.#written(node, { path, written: walk.written });
      if (node.opaque) yield { header: markHeader(`${path}/${opaqueMark}`) };
      yield* this.#below(node, { path, written: walk.written });
    }
  }

  #written(node: Name, { path, written }: { path: string; written: Map<Name, string> }): MergedEntry {
    const file = node.link ?? node;
    const header = { ...(file.header ?? markHeader(path)), name: Buffer.from(path, "latin1") };
    const first = written.get(file);
    if (first !== undefined)
      return { header: { ...header, type: "hardlink", size: 0n, linkname: Buffer.from(first, "latin1") } };
    if (header.type === "file") written.set(file, path);
    return { header, ...(file.place && { place: file.place }) };
  }
}

function isOpen({ header, deleted }: Name): boolean {
  return !deleted && (header === undefined || header.type === "directory");
}

function deletedName(): Name {
  return { opaque: false, deleted: true, children: new Map() };
}

function markHeader(path: string): TarHeader {
  const name = Buffer.from(path, "latin1");
  return { name, type: "file", mode: 0o600, uid: 0, gid: 0, size: 0n, mtime: 0n };
}

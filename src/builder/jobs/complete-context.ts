import { createHash, type Hash, randomBytes } from "node:crypto";
import { closeSync, existsSync, fstatSync, ftruncateSync, linkSync, mkdirSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { type Feed, fed, type Job, type JobContext } from "../../host/mod.ts";
import { TarDecoder, type TarHeader, type TarSink, writePiece } from "../../stream/mod.ts";
import type { ContextLine } from "../../wire/mod.ts";
import { carriedOf } from "../files/attributes.ts";
import { writeIndex } from "../files/context-index.ts";
import { type ContextNode, ContextTree } from "../files/context-tree.ts";
import { contextView } from "../files/context-view.ts";
import { through } from "../files/fs.ts";
import { raw } from "../files/raw.ts";
import { type Manifest, readManifest } from "../kept/manifest.ts";
import { type KeptFile, writeStore } from "../kept/store.ts";
import { type Indexed, type ReceiveInput, tidied } from "./receive.ts";

export interface CompleteContextInput extends ReceiveInput {
  /** Of the kept contents. */
  readonly store: string;
  /** What the client told before. */
  readonly manifest: string;
}

/**
 * Takes the contents that were missing, as an archive whose names are the numbers of their lines, and makes the context
 * of all of it: `archive` becomes another name of the pack. Returns the Dockerfile's text and how much is kept. Throws "conflict" when what was
 * kept is gone since the client asked.
 */
export const completeContextJob: Job<CompleteContextInput & Feed, Indexed & { readonly bytes: number }> = {
  name: "builder.completeContext",
  run(input, context) {
    const manifest = readManifest(input.manifest);
    mkdirSync(input.store, { recursive: true, mode: 0o700 });
    const pack = manifest.pack || `${randomBytes(8).toString("hex")}.pack`;
    if (manifest.pack !== "" && !existsSync(join(input.store, pack)))
      throw new EngineError("conflict", "what was kept of the build context is gone");
    const came = append(join(input.store, pack), { input, context });
    const files = keptFiles(manifest, came);
    const kept = compact(input.store, { pack, files });
    writeStore(input.store, kept);
    linkSync(join(input.store, kept.pack), input.archive);
    const root = raw(input.directory);
    const tree = treeOf(manifest, kept.files);
    const view = contextView(tree, { root, archive: input.archive });
    const found = through(view, () => tidied(root, { input, context }));
    return { ...found, content: writeIndex(input.index, tree), bytes: total(kept.files) };
  },
};

interface Appending {
  readonly input: Feed;
  readonly context: JobContext;
}

/** Contents by the number of their line. */
function append(path: string, { input, context }: Appending): ReadonlyMap<number, Omit<KeptFile, "stamp">> {
  const fd = openSync(path, existsSync(path) ? "r+" : "wx+", 0o600);
  try {
    const sink = new Appender(fd);
    const decoder = new TarDecoder(sink);
    for (const piece of fed(input, context)) decoder.push(piece);
    decoder.finish();
    return sink.files;
  } finally {
    closeSync(fd);
  }
}

class Appender implements TarSink {
  readonly files = new Map<number, Omit<KeptFile, "stamp">>();
  readonly #file: { readonly fd: number; at: number };
  #current: { readonly number: number; readonly offset: number; readonly hash: Hash } | undefined;

  constructor(fd: number) {
    this.#file = { fd, at: fstatSync(fd).size };
  }

  entry({ name, type }: TarHeader): void {
    const text = Buffer.from(name).toString("latin1");
    if (type !== "file" || !/^\d{1,7}$/.test(text))
      throw new EngineError("invalid", `no number of a file of the build context: ${JSON.stringify(text)}`);
    this.#current = { number: Number(text), offset: this.#file.at, hash: createHash("sha256") };
  }

  data(piece: Uint8Array): void {
    this.#current?.hash.update(piece);
    writePiece(this.#file, piece);
  }

  hole(): void {
    throw new EngineError("invalid", "a sparse file in the contents of a build context");
  }

  end(): void {
    if (!this.#current) return;
    const { number, offset, hash } = this.#current;
    this.files.set(number, { size: this.#file.at - offset, offset, digest: hash.digest("hex") });
  }
}

/** What did not come has vanished at the client. */
function keptFiles({ entries }: Manifest, came: ReadonlyMap<number, Omit<KeptFile, "stamp">>): Map<string, KeptFile> {
  const files = new Map<string, KeptFile>();
  for (const [index, { line, kept }] of entries.entries()) {
    const content = came.get(index);
    if (content) files.set(line.path, { ...content, stamp: line.text });
    else if (kept) files.set(line.path, kept);
  }
  return files;
}

function total(files: ReadonlyMap<string, KeptFile>): number {
  return files.values().reduce((sum, { size }) => sum + size, 0);
}

/** What a pack may have of no use any more, in bytes, beside as much as is in use. */
const slack = 64 * 1024 * 1024;

/** A pack of what is still used, once it is mostly others. */
function compact(store: string, { pack, files }: { pack: string; files: Map<string, KeptFile> }) {
  const from = openSync(join(store, pack), "r");
  try {
    if (fstatSync(from).size <= 2 * total(files) + slack) return { pack, files };
    const next = `${randomBytes(8).toString("hex")}.pack`;
    const to = { fd: openSync(join(store, next), "wx", 0o600), at: 0 };
    try {
      const moved = files.entries().map(([path, file]): [string, KeptFile] => {
        const offset = to.at;
        copyRange(from, { to, file });
        return [path, { ...file, offset }];
      });
      return { pack: next, files: new Map(moved) };
    } finally {
      ftruncateSync(to.fd, to.at);
      closeSync(to.fd);
    }
  } finally {
    closeSync(from);
  }
}

const buffer = Buffer.allocUnsafe(256 * 1024);

function copyRange(from: number, { to, file }: { to: { readonly fd: number; at: number }; file: KeptFile }): void {
  for (let at = 0; at < file.size; ) {
    const got = readSync(from, buffer, 0, Math.min(buffer.length, file.size - at), file.offset + at);
    if (got === 0) throw new EngineError("internal", "The kept contents of the build context are too short");
    writePiece(to, buffer.subarray(0, got));
    at += got;
  }
}

function treeOf({ entries }: Manifest, files: ReadonlyMap<string, KeptFile>): ContextTree {
  const tree = new ContextTree();
  for (const { line } of entries) {
    const node = nodeOf(line, files.get(line.path));
    if (node && !tree.put(line.path, node))
      throw new EngineError("invalid", `the build context has two things named ${JSON.stringify(line.path)}`);
  }
  return tree;
}

function nodeOf(
  { type, mode, mtime, text, xattrs = [] }: ContextLine,
  content: KeptFile | undefined,
): ContextNode | undefined {
  const carried = carriedOf(xattrs.map(([name, value]) => [name, Buffer.from(value, "base64")] as const));
  const base = { mode, mtime, ...(carried.length > 0 && { xattrs: carried }) };
  switch (type) {
    case "directory":
      return { ...base, type, children: new Map() };
    case "symlink":
      return { ...base, type, mode: 0o777, target: text };
    case "file":
      return content && { ...base, type, size: content.size, offset: content.offset, digest: content.digest };
    default:
      return type satisfies never;
  }
}

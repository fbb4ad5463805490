import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FileNode } from "../files/context-tree.ts";

/** A file whose content is kept, and by what the client knows it. */
export interface KeptFile extends Pick<FileNode, "size" | "offset" | "digest"> {
  readonly stamp: string;
}

/**
 * Contents of one context, in a directory: `NAME.pack` is only appended to, `index` says what is where in which pack.
 * The index is replaced whole; packs that it does not name are left from a crash.
 */
export interface KeptStore {
  /** File name of the pack. */
  readonly pack: string;
  /** By path. */
  readonly files: ReadonlyMap<string, KeptFile>;
}

type Line = readonly [path: string, stamp: string, size: number, offset: number, digest: string];

/** undefined when there is none, or one that was not finished. */
export function readStore(directory: string): KeptStore | undefined {
  try {
    return parse(directory, readFileSync(join(directory, "index"), "utf8"));
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT" || err instanceof SyntaxError) return undefined;
    throw err;
  }
}

/** After a power failure a pack may be shorter than its index, which is then worth nothing. */
function parse(directory: string, text: string): KeptStore | undefined {
  const [pack = "", ...lines] = text.split("\n");
  const length = statSync(join(directory, pack)).size;
  const files = new Map<string, KeptFile>();
  for (const line of lines) {
    if (line === "") continue;
    const [path, stamp, size, offset, digest] = JSON.parse(line) as Line;
    if (offset + size > length) return undefined;
    files.set(path, { stamp, size, offset, digest });
  }
  return { pack, files };
}

export function writeStore(directory: string, { pack, files }: KeptStore): void {
  const lines = Array.from(
    files,
    ([path, { stamp, size, offset, digest }]): Line => [path, stamp, size, offset, digest],
  );
  const text = [pack, ...lines.map((line) => JSON.stringify(line)), ""].join("\n");
  const next = join(directory, "index.new");
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, join(directory, "index"));
  for (const name of readdirSync(directory)) if (name.endsWith(".pack") && name !== pack) rmSync(join(directory, name));
}

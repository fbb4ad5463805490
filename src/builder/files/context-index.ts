import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { Digest } from "../../oci/mod.ts";
import { type ContextNode, ContextTree } from "./context-tree.ts";
import { rawBytes } from "./raw.ts";

/** One entry: path, type, mode, nanoseconds, extended attributes in base64, then what the type needs. */
type Line =
  | readonly [string, "d", number, string, Attributes]
  | readonly [string, "f", number, string, Attributes, number, number, string]
  | readonly [string, "l", number, string, Attributes, string];
type Attributes = readonly (readonly [string, string])[];

/** Trees that this thread has read last: the steps of a build ask for the same one. Indexes never change and their names never return. */
const known = new Map<string, ContextTree>();
const mostKnown = 2;

/** Returns a digest of all that COPY may take from the tree, which is everything but times and places in the archive. */
export function writeIndex(path: string, tree: ContextTree): Digest {
  const hash = createHash("sha256");
  const lines = Array.from(tree.entries(), ([name, node]) => {
    const line = lineOf(name, node);
    hash.update(rawBytes(copied(line)));
    return JSON.stringify(line);
  });
  writeFileSync(path, `${lines.join("\n")}\n`, { mode: 0o600, flag: "wx" });
  remember(path, tree);
  return `sha256:${hash.digest("hex")}`;
}

/** No path, name or target has a NUL in it, so that no two lines look alike. */
function copied([path, type, mode, , xattrs, ...rest]: Line): string {
  const content = rest.length === 3 ? [rest[0], rest[2]] : rest;
  return `${[path, type, mode, ...xattrs.flat(), ...content].join("\0")}\0\0`;
}

export function readIndex(path: string): ContextTree {
  const before = known.get(path);
  if (before) return before;
  const tree = new ContextTree();
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line === "") continue;
    const parsed = JSON.parse(line) as Line;
    tree.put(parsed[0], nodeOf(parsed));
  }
  remember(path, tree);
  return tree;
}

function remember(path: string, tree: ContextTree): void {
  const [oldest] = known.keys();
  if (known.size >= mostKnown && oldest !== undefined) known.delete(oldest);
  known.set(path, tree);
}

function lineOf(path: string, node: ContextNode): Line {
  const xattrs = (node.xattrs ?? []).map(([name, value]) => [name, value.toString("base64")] as const);
  const [mode, mtime] = [node.mode, String(node.mtime)];
  switch (node.type) {
    case "directory":
      return [path, "d", mode, mtime, xattrs];
    case "file":
      return [path, "f", mode, mtime, xattrs, node.size, node.offset, node.digest];
    case "symlink":
      return [path, "l", mode, mtime, xattrs, node.target];
    default:
      return node satisfies never;
  }
}

function nodeOf(line: Line): ContextNode {
  const xattrs = line[4].map(([name, value]) => [name, Buffer.from(value, "base64")] as const);
  const base = { mode: line[2], mtime: BigInt(line[3]), ...(xattrs.length > 0 && { xattrs }) };
  switch (line[1]) {
    case "d":
      return { ...base, type: "directory", children: new Map() };
    case "f":
      return { ...base, type: "file", size: line[5], offset: line[6], digest: line[7] };
    case "l":
      return { ...base, type: "symlink", target: line[5] };
    default:
      return line satisfies never;
  }
}

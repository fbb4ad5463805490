import { type BigIntStats, chmodSync, lchownSync, lstatSync, readdirSync } from "node:fs";
import { confined, type Job, makeNode, readXattrs, setTimes, setXattr } from "../../host/mod.ts";
import { isOpaque, isOverlayXattr, makeOpaque, whiteout } from "./overlay.ts";
import { fsPath, type LayerPath } from "./paths.ts";

export interface InheritInput {
  readonly target: string;
  /** Directories of the layers below, the nearest first. */
  readonly lowers: readonly string[];
  /** What {@link import("./unpacker.ts").Unpacker} had to make. */
  readonly implied: readonly LayerPath[];
  readonly opaqueRoot: boolean;
}

interface Attributes {
  readonly stat: BigIntStats;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

/**
 * Overlayfs shows the attributes of the uppermost of merged directories. A layer that names a file but not its directory
 * does not mean to change the directory, so what was made for it gets the attributes of its namesake below. Overlayfs
 * also merges roots whatever they are marked with, so an opaque root is spelt out, name by name.
 */
export const inheritAttributes: Job<InheritInput, void> = {
  name: "inheritAttributes",
  run: ({ target, lowers, implied, opaqueRoot }, context) => {
    if (opaqueRoot) hideRoot(target, lowers);
    const found = new Map<LayerPath, Attributes>();
    const wanted = new Set(opaqueRoot ? [] : implied);
    for (const lower of lowers) {
      if (wanted.size === 0) break;
      context.check();
      confined(lower, () => look(wanted, found));
    }
    confined(target, () => apply(found));
  },
};

/** Takes off `wanted` what this layer decides: by having the directory, or by hiding what is below. */
function look(wanted: Set<LayerPath>, found: Map<LayerPath, Attributes>): void {
  for (const path of wanted) {
    const here = lookup(path);
    if (here === "unknown") continue;
    wanted.delete(path);
    if (here !== "hidden") found.set(path, { stat: here, xattrs: readXattrs(fsPath(path)) });
  }
}

function lookup(path: LayerPath): BigIntStats | "unknown" | "hidden" {
  let at: LayerPath = "";
  let opaque = false;
  let stat = lstatSync(".", { bigint: true });
  for (const part of path === "" ? [] : path.split("/")) {
    opaque ||= isOpaque(fsPath(at));
    at = at === "" ? part : `${at}/${part}`;
    const next = lstatSync(fsPath(at), { bigint: true, throwIfNoEntry: false });
    if (!next) return opaque ? "hidden" : "unknown";
    if (!next.isDirectory()) return "hidden";
    stat = next;
  }
  return stat;
}

function apply(found: ReadonlyMap<LayerPath, Attributes>): void {
  for (const [path, { stat, xattrs }] of found) {
    const name = fsPath(path);
    // A path may lead through a symlink of the layer's own, or have been replaced by way of one.
    if (!lstatSync(name, { throwIfNoEntry: false })?.isDirectory()) continue;
    lchownSync(name, Number(stat.uid), Number(stat.gid));
    chmodSync(name, Number(stat.mode & 0o7777n));
    for (const [key, value] of xattrs) if (!isOverlayXattr(key)) setXattr(name, key, value);
    setTimes(name, { atime: stat.atimeNs, mtime: stat.mtimeNs });
  }
}

function hideRoot(target: string, lowers: readonly string[]): void {
  const names = new Map<string, Buffer>();
  for (const lower of lowers) {
    for (const name of confined(lower, () => readdirSync(".", { encoding: "buffer" }) as Buffer[])) {
      names.set(name.toString("latin1"), name);
    }
  }
  confined(target, () => {
    const root = lstatSync(".", { bigint: true });
    for (const name of names.values()) hideName(name);
    setTimes(".", { atime: root.atimeNs, mtime: root.mtimeNs });
  });
}

function hideName(name: Buffer): void {
  const stat = lstatSync(name, { bigint: true, throwIfNoEntry: false });
  if (!stat) makeNode(name, whiteout);
  else if (stat.isDirectory()) {
    makeOpaque(name);
    setTimes(name, { atime: stat.atimeNs, mtime: stat.mtimeNs });
  }
}

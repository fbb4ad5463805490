import { type BigIntStats, lstatSync, readdirSync } from "node:fs";
import { confined, type Job, type JobContext, walk } from "../../host/mod.ts";
import { isOpaque, isWhiteout } from "./overlay.ts";
import { fsPath, join, type LayerPath, parentOf } from "./paths.ts";

export interface ChangesInput {
  readonly directory: string;
  /** Directories of the layers below, the nearest first. */
  readonly lowers: readonly string[];
}

export interface Change {
  readonly path: LayerPath;
  readonly kind: "modified" | "added" | "deleted";
}

/**
 * What a layer changes. Whatever it has that is below too counts as modified, which overlayfs does for a directory as soon
 * as something in it changes; of what is hidden or deleted only the topmost name is listed.
 */
export const listChanges: Job<ChangesInput, Change[]> = {
  name: "listChanges",
  run: (input, context) => {
    const own = confined(input.directory, () => readLayer(context));
    return compare(own, { lowers: input.lowers, context });
  },
};

interface OwnEntry {
  readonly path: LayerPath;
  readonly type: "whiteout" | "directory" | "opaque" | "other";
}

/** In walking order: directories come before what is in them. */
function readLayer(context: JobContext): OwnEntry[] {
  const entries: OwnEntry[] = [];
  walk({
    entry: ({ name, directory, stat }) => {
      context.check();
      entries.push({ path: `${directory.toString("latin1")}${name.toString("latin1")}`, type: typeOf(name, stat) });
      return true;
    },
  });
  return entries;
}

function typeOf(name: Buffer, stat: BigIntStats): OwnEntry["type"] {
  if (isWhiteout(stat)) return "whiteout";
  if (!stat.isDirectory()) return "other";
  return isOpaque(name) ? "opaque" : "directory";
}

/** What layers below show under a path: directories that are merged there, the nearest first; empty for other files. */
type Merged = readonly string[];

function compare(
  own: readonly OwnEntry[],
  { lowers, context }: { lowers: readonly string[]; context: JobContext },
): Change[] {
  const merged = new Map<LayerPath, Merged>([["", lowers]]);
  const paths = new Set(own.map((entry) => entry.path));
  const changes: Change[] = [];
  for (const { path, type } of own) {
    context.check();
    const below = lookBelow(merged.get(parentOf(path)) ?? [], path);
    if (type === "whiteout") {
      if (below) changes.push({ path, kind: "deleted" });
      continue;
    }
    changes.push({ path, kind: below ? "modified" : "added" });
    if (below && type !== "other") merged.set(path, below);
    if (below && type === "opaque") changes.push(...hidden(path, { below, paths }));
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Undefined when there is nothing of that name. The layers below never change, so their paths are safe to follow. */
function lookBelow(parents: Merged, path: LayerPath): Merged | undefined {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const found: string[] = [];
  for (const parent of parents) {
    const candidate = `${parent}/${name}`;
    const stat = lstat(candidate);
    if (!stat) continue;
    if (!stat.isDirectory()) return found.length > 0 ? found : isWhiteout(stat) ? undefined : [];
    found.push(candidate);
    if (isOpaque(absolute(candidate))) break;
  }
  return found.length > 0 ? found : undefined;
}

/** A name that is too long for a path counts as missing: what is that deep is listed as added. */
function lstat(path: string): BigIntStats | undefined {
  try {
    return lstatSync(absolute(path), { bigint: true, throwIfNoEntry: false });
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENAMETOOLONG") return undefined;
    throw err;
  }
}

function absolute(path: string): string | Buffer {
  return fsPath(path);
}

function hidden(path: LayerPath, { below, paths }: { below: Merged; paths: ReadonlySet<LayerPath> }): Change[] {
  const names = new Set(below.flatMap((directory) => readdirSync(absolute(directory), { encoding: "latin1" })));
  return [...names]
    .map((name) => join(path, name))
    .filter((child) => !paths.has(child) && lookBelow(below, child))
    .map((child) => ({ path: child, kind: "deleted" as const }));
}

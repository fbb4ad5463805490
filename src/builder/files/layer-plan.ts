import { basename } from "node:path/posix";
import { xattrsOf } from "./attributes.ts";
import { type ContextNode, ContextTree, childNames, type DirectoryNode } from "./context-tree.ts";
import * as fs from "./fs.ts";
import type { Owner } from "./place.ts";
import type { Selected } from "./select.ts";

export interface LayerPlanOptions {
  readonly context: ContextTree;
  /** Raw path of the root that the layer comes on top of; undefined: whatever is there gives way (COPY --link). */
  readonly below: string | undefined;
  /** Absolute raw path inside it; ends with a slash when it must be a directory. */
  readonly destination: string;
  readonly owner: Owner;
  /** For what is copied, but for links and the destination itself. */
  readonly mode?: number;
  /** Of directories that are made, in nanoseconds since 1970. */
  readonly now: bigint;
}

/** What a copy would put on top of a root. */
export interface LayerPlan {
  readonly files: ContextTree;
  /** Of directories that are there and keep theirs, by path. */
  readonly kept: ReadonlyMap<string, Owner>;
}

/**
 * Plans the layer that COPY from a context would leave, without writing it. undefined where a plan would have to know more
 * than it does: links on the way, names that a layer cannot hold, and whatever copying refuses, which says so better.
 */
export function planLayer(selected: readonly Selected[], options: LayerPlanOptions): LayerPlan | undefined {
  const planner = new LayerPlanner(options);
  return selected.length > 0 && selected.every((item) => planner.item(item)) ? planner : undefined;
}

class LayerPlanner implements LayerPlan {
  readonly files = new ContextTree();
  readonly kept = new Map<string, Owner>();
  readonly #options: LayerPlanOptions;

  constructor(options: LayerPlanOptions) {
    this.#options = options;
  }

  /** False when it cannot be planned. */
  item({ real, name, type }: Selected): boolean {
    const { destination } = this.#options;
    const source = this.#options.context.get(real);
    if (!source) return false;
    if (source.type === "directory") {
      const path = destination.replace(/\/$/, "");
      return this.#directory(path) && this.#children(path, source) && this.#dated(path, source);
    }
    if (type !== "file") return false;
    // First what is above it: a link there would lead the next look astray.
    if (!this.#directory(destination.slice(0, destination.lastIndexOf("/")))) return false;
    const into = destination.endsWith("/") || this.#isDirectory(destination);
    if (into) return this.#directory(destination) && this.#leaf(`${destination}/${basename(name)}`, source);
    return this.#leaf(destination, source);
  }

  /** From the top, so that no link on the way is followed, which would lead out of the root. */
  #isDirectory(path: string): boolean {
    if (this.files.get(path)?.type === "directory") return true;
    const names = path.split("/").filter((name) => name !== "" && name !== ".");
    return names.every((_, index) => this.#below(names.slice(0, index + 1).join("/"))?.isDirectory() === true);
  }

  /** What is there, where all that is above is known to be directories. */
  #below(path: string): fs.Stat | undefined {
    const { below } = this.#options;
    return below === undefined ? undefined : fs.lstat(`${below}/${path}`);
  }

  /** A directory that is there goes into the layer as it is, as overlayfs would copy it up; others are made. */
  #directory(path: string): boolean {
    let at = "";
    for (const name of path.split("/")) {
      if (name === "" || name === ".") continue;
      at = `${at}/${name}`;
      const planned = this.files.get(at);
      if (planned && planned.type !== "directory") return false;
      if (!planned && !this.#made(at, name)) return false;
    }
    return true;
  }

  #made(path: string, name: string): boolean {
    const there = this.#below(path);
    if ((there && !there.isDirectory()) || isMark(name)) return false;
    if (!there)
      return this.#add(path, { type: "directory", mode: 0o755, mtime: this.#options.now, children: new Map() });
    const whole = `${this.#options.below}/${path}`;
    this.kept.set(path.slice(1), { uid: Number(there.uid), gid: Number(there.gid) });
    const mode = Number(there.mode & 0o7777n);
    return this.files.put(path, {
      type: "directory",
      mode,
      mtime: there.mtimeNs,
      xattrs: xattrsOf(whole),
      children: new Map(),
    });
  }

  #children(path: string, source: DirectoryNode): boolean {
    return childNames(source).every((name) => {
      const child = source.children.get(name);
      const to = `${path}/${name}`;
      if (child?.type !== "directory") return child !== undefined && this.#leaf(to, child);
      const there = this.#below(to);
      if ((there && !there.isDirectory()) || isMark(name)) return false;
      this.kept.delete(to.split("/").filter(Boolean).join("/"));
      const copied = { ...child, mode: this.#options.mode ?? child.mode, children: new Map() };
      return (there ? this.files.put(to, copied) : this.#add(to, copied)) && this.#children(to, child);
    });
  }

  /** The destination has the time of the directory whose contents it got. */
  #dated(path: string, { mtime }: DirectoryNode): boolean {
    const planned = this.files.get(path);
    return planned?.type !== "directory" || this.files.put(path, { ...planned, mtime });
  }

  #leaf(path: string, node: ContextNode): boolean {
    const there = this.#below(path);
    const isEnd = path === this.#options.destination;
    if (there?.isDirectory() || (isEnd && there?.isSymbolicLink()) || isMark(basename(path))) return false;
    return this.#add(path, node.type === "file" ? { ...node, mode: this.#options.mode ?? node.mode } : node);
  }

  /** A new name in a directory that is there changes that directory's time. */
  #add(path: string, node: ContextNode): boolean {
    const parent = path.split("/").filter(Boolean).slice(0, -1).join("/");
    const planned = this.files.get(parent);
    if (planned?.type === "directory" && this.kept.has(parent))
      this.files.put(parent, { ...planned, mtime: this.#options.now });
    return this.files.put(path, node);
  }
}

/** In a layer it would mean a deletion (OCI image-spec, "Whiteouts"). */
function isMark(name: string): boolean {
  return name.startsWith(".wh.");
}

import { posix } from "node:path";
import { byBytes } from "./raw.ts";

/** One thing of a build context whose contents lie in an archive. */
export type ContextNode = DirectoryNode | FileNode | LinkNode;

interface NodeBase {
  /** Permission bits. */
  readonly mode: number;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Those that a build carries, by name. */
  readonly xattrs?: readonly (readonly [string, Buffer])[];
}

export interface DirectoryNode extends NodeBase {
  readonly type: "directory";
  /** By raw name. */
  readonly children: Map<string, ContextNode>;
}

export interface FileNode extends NodeBase {
  readonly type: "file";
  readonly size: number;
  /** Of the content in the archive. */
  readonly offset: number;
  /** SHA-256 of the content, in hexadecimal. */
  readonly digest: string;
}

export interface LinkNode extends NodeBase {
  readonly type: "symlink";
  /** Raw. */
  readonly target: string;
}

/** The files of a context by their raw paths, without a slash in front. */
export class ContextTree {
  readonly root: DirectoryNode = emptyDirectory(0n);
  /** What was asked for since the last change: each thing is asked for several times. */
  readonly #found = new Map<string, ContextNode | undefined>();
  /** Where the last thing was put, since archives have those of one directory together. */
  #last: { readonly path: string; readonly directory: DirectoryNode } | undefined;

  /** What is there, symlinks not followed. */
  get(path: string): ContextNode | undefined {
    if (this.#found.has(path)) return this.#found.get(path);
    const node = this.#get(path);
    this.#found.set(path, node);
    return node;
  }

  #get(path: string): ContextNode | undefined {
    let node: ContextNode = this.root;
    for (const name of namesOf(path)) {
      if (node.type !== "directory") return undefined;
      const child = node.children.get(name);
      if (!child) return undefined;
      node = child;
    }
    return node;
  }

  /** False where that would replace something of another type, or lead through what is no directory. */
  put(path: string, node: ContextNode): boolean {
    this.#found.clear();
    const at = path.lastIndexOf("/");
    const [front, name] = [path.slice(0, Math.max(at, 0)), path.slice(at + 1)];
    if (name === "" || name === ".") return node.type === "directory";
    const parent = this.#last?.path === front ? this.#last.directory : this.#directory(namesOf(front));
    if (!parent) return false;
    this.#last = { path: front, directory: parent };
    const there = parent.children.get(name);
    if (there && (there.type === "directory") !== (node.type === "directory")) return false;
    const replaces = there?.type === "directory" && node.type === "directory";
    if (replaces) this.#last = undefined;
    const kept = replaces ? { ...node, children: there.children } : node;
    parent.children.set(name, kept);
    return true;
  }

  remove(path: string): void {
    this.#found.clear();
    this.#last = undefined;
    const parent = this.#get(posix.dirname(path));
    if (parent?.type === "directory") parent.children.delete(posix.basename(path));
  }

  /** Everything, a directory before what is in it, names in byte order. */
  *entries(): Generator<[string, ContextNode]> {
    yield* below("", this.root);
  }

  #directory(names: readonly string[]): DirectoryNode | undefined {
    let at: DirectoryNode = this.root;
    for (const name of names) {
      const next = at.children.get(name) ?? emptyDirectory(0n);
      if (next.type !== "directory") return undefined;
      at.children.set(name, next);
      at = next;
    }
    return at;
  }
}

export function childNames(node: DirectoryNode): string[] {
  return [...node.children.keys()].sort(byBytes);
}

function emptyDirectory(mtime: bigint): DirectoryNode {
  return { type: "directory", mode: 0o755, mtime, children: new Map() };
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function* below(path: string, directory: DirectoryNode): Generator<[string, ContextNode]> {
  for (const name of childNames(directory)) {
    const child = directory.children.get(name);
    if (!child) continue;
    const childPath = path === "" ? name : `${path}/${name}`;
    yield [childPath, child];
    if (child.type === "directory") yield* below(childPath, child);
  }
}

import type { JobContext } from "../../host/mod.ts";
import { globPattern, ignoreMatcher } from "../../patterns/mod.ts";
import * as fs from "./fs.ts";
import { shown } from "./raw.ts";

export interface WalkOptions {
  /** Only what matches, and all below it, relative to the directory that is walked; undefined: everything (COPY --parents). */
  readonly include?: string;
  readonly exclude: readonly string[];
  readonly context: JobContext;
}

export interface Visited {
  /** Raw path to read from. */
  readonly whole: string;
  /** Raw path relative to the directory that is walked. */
  readonly path: string;
  readonly stat: fs.Stat;
  /** False for a directory that is there only because something below is taken. */
  readonly own: boolean;
}

/** Directories are entered in front of what is in them, and left when something was. */
export interface Visitor {
  enter(directory: Visited): void;
  leave(directory: Visited): void;
  leaf(file: Visited): void;
}

/** Visits what COPY takes of a directory, in byte order; symlinks are not followed. */
export function walk(root: string, { visitor, ...options }: WalkOptions & { readonly visitor: Visitor }): void {
  new Walk(options, visitor).children({
    whole: root,
    path: "",
    taken: options.include === undefined,
    enter: () => undefined,
  });
}

interface Place {
  readonly whole: string;
  readonly path: string;
  /** It or something above matches what is included. */
  readonly taken: boolean;
  /** Makes sure that this directory has been entered. */
  readonly enter: () => void;
}

class Walk {
  readonly #visitor: Visitor;
  readonly #context: JobContext;
  readonly #included: (path: string) => boolean;
  readonly #mayHold: (path: string) => boolean;
  readonly #excluded: (path: string) => boolean;
  readonly #hasExceptions: boolean;

  constructor({ include, exclude, context }: WalkOptions, visitor: Visitor) {
    this.#visitor = visitor;
    this.#context = context;
    this.#included = include === undefined ? () => true : ignoreMatcher([include]);
    this.#mayHold = include === undefined ? () => true : prefixMatcher(include);
    this.#excluded = ignoreMatcher(exclude);
    this.#hasExceptions = exclude.some((pattern) => pattern.startsWith("!"));
  }

  children({ whole, path, taken, enter }: Place): void {
    this.#context.check();
    for (const name of fs.readdir(whole)) {
      const child = path === "" ? name : `${path}/${name}`;
      const stat = fs.lstat(`${whole}/${name}`);
      if (!stat) continue;
      const matches = taken || this.#included(shown(child));
      const own = matches && !this.#excluded(shown(child));
      const visited = { whole: `${whole}/${name}`, path: child, stat, own };
      if (stat.isDirectory()) this.#directory(visited, { taken: matches, above: enter });
      else if (own) {
        enter();
        this.#visitor.leaf(visited);
      }
    }
  }

  #directory(visited: Visited, { taken, above }: { taken: boolean; above: () => void }): void {
    const { own, whole, path } = visited;
    if (!own && (taken ? !this.#hasExceptions : !this.#mayHold(shown(path)))) return;
    let entered = false;
    const enter = () => {
      if (entered) return;
      above();
      this.#visitor.enter(visited);
      entered = true;
    };
    if (own) enter();
    this.children({ whole, path, taken, enter });
    if (entered) this.#visitor.leave(visited);
  }
}

/** Whether something below a directory can match: its components fit those of the pattern, as far as they go. */
function prefixMatcher(pattern: string): (path: string) => boolean {
  const parts = pattern.split("/");
  const deep = parts.findIndex((part) => part.includes("**"));
  const front = (deep < 0 ? parts : parts.slice(0, deep)).map(globPattern);
  return (path) => {
    const names = path.split("/");
    if (deep < 0 && names.length >= parts.length) return false;
    return names.every((name, index) => front[index]?.test(name) !== false);
  };
}

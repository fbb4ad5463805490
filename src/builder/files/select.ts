import { posix } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { deepPattern, globPattern, isGlob } from "../../patterns/mod.ts";
import { lstat, readdir } from "./fs.ts";
import { raw, shown } from "./raw.ts";
import { inScope } from "./scope.ts";

/** One thing that a source of COPY or ADD names. */
export interface Selected {
  /** Raw path below the root, symlinks resolved: what is read. */
  readonly real: string;
  /** Raw name that it was found by, relative to the root: gives the name at the destination, and --parents' directories. */
  readonly name: string;
  /** How many characters of the name are in front of a `/./`, and no part of the destination with --parents. */
  readonly pivot: number;
  readonly type: "file" | "directory" | "other";
}

export interface SelectOptions {
  /** Raw. */
  readonly root: string;
  readonly sources: readonly string[];
  /** --parents: `**` is understood. */
  readonly deep: boolean;
  /** What messages say after "COPY failed: ". */
  readonly where: "context" | "stage";
  readonly keyword: string;
}

/** What the sources name, in their order; a pattern's finds in byte order. Throws "not-found" in docker's words. */
export function select(options: SelectOptions): Selected[] {
  const found = options.sources.flatMap((source) => {
    const path = insideRoot(source, options);
    const pivot = pivotOf(source, options);
    const matched = isGlob(path) ? expand(path, options) : [one(path, options)];
    return matched.map((selected) => ({ ...selected, pivot }));
  });
  if (found.length > 0 || options.sources.length === 0) return found;
  throw new EngineError("not-found", `${options.keyword} failed: no source files were specified`);
}

/** Sources of a context must not lead out of it; those of a stage start at its root. */
function insideRoot(source: string, { where, keyword }: SelectOptions): string {
  const path = posix.normalize(source).replace(/^\/+/, "").replace(/\/$/, "");
  if (path !== ".." && !path.startsWith("../")) return path === "." ? "" : path;
  if (where === "stage") return path.replace(/^(?:\.\.(?:\/|$))+/, "");
  throw new EngineError("invalid", `${keyword} failed: forbidden path outside the build context: ${source} ()`);
}

function pivotOf(source: string, options: SelectOptions): number {
  const at = source.indexOf("/./");
  const front = at < 0 ? "" : insideRoot(source.slice(0, at), options);
  return front === "" || isGlob(front) ? 0 : raw(front).length + 1;
}

function one(path: string, options: SelectOptions): Selected {
  const selected = selectPath(raw(path), options);
  if (selected) return selected;
  throw notFound(path, options);
}

function selectPath(path: string, { root }: SelectOptions): Selected | undefined {
  const whole = inScope(root, path, { followLast: true });
  const stat = lstat(whole);
  if (!stat) return undefined;
  const type = stat.isDirectory() ? "directory" : stat.isFile() ? "file" : "other";
  return { real: whole.slice(root.length + 1), name: path, pivot: 0, type };
}

function notFound(path: string, { where, keyword }: SelectOptions): EngineError {
  const problem = where === "context" ? "file not found in build context or excluded by .dockerignore: " : "";
  return new EngineError("not-found", `${keyword} failed: ${problem}stat ${path}: file does not exist`);
}

function expand(pattern: string, options: SelectOptions): Selected[] {
  const names = options.deep && pattern.includes("**") ? deepNames(pattern, options) : levelNames(pattern, options);
  return names.map((name) => selectPath(name, options)).filter((selected) => selected !== undefined);
}

/** Component by component, so that only directories that can match are read. */
function levelNames(pattern: string, { root }: SelectOptions): string[] {
  let names = [""];
  for (const part of pattern.split("/")) {
    const matches = globPattern(part);
    names = names.flatMap((parent) => {
      const directory = inScope(root, parent, { followLast: true });
      if (!lstat(directory)?.isDirectory()) return [];
      const children = readdir(directory).filter((child) => matches.test(shown(child)));
      return children.map((child) => (parent === "" ? child : `${parent}/${child}`));
    });
  }
  return names;
}

function deepNames(pattern: string, { root }: SelectOptions): string[] {
  const matches = deepPattern(pattern);
  const found: string[] = [];
  const visit = (name: string) => {
    for (const child of readdir(name === "" ? root : `${root}/${name}`)) {
      const path = name === "" ? child : `${name}/${child}`;
      if (matches.test(shown(path))) found.push(path);
      else if (lstat(`${root}/${path}`)?.isDirectory()) visit(path);
    }
  };
  visit("");
  return found;
}

import { posix } from "node:path";
import { EngineError, isKind, messageOf } from "../../errors/mod.ts";
import { globPattern, isGlob } from "../../patterns/mod.ts";
import { lstat, readdir } from "./fs.ts";
import { raw, shown } from "./raw.ts";
import { inScope } from "./scope.ts";

/** One thing that a source of COPY or ADD names. */
export interface Selected {
  /** Raw path below the root, symlinks resolved: what is read. */
  readonly real: string;
  /** Raw name that it was found by, relative to the root: gives the name at the destination. */
  readonly name: string;
  /** Of a directory only what matches is meant (--parents). */
  readonly include?: string;
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

/** What the sources name, in their order; a pattern's finds in byte order, none is none. Throws "not-found" in docker's words. */
export function select(options: SelectOptions): Selected[] {
  return options.sources.flatMap((source) => (options.deep ? below(source, options) : named(source, options)));
}

function named(source: string, options: SelectOptions): Selected[] {
  const path = insideRoot(source);
  return isGlob(path) ? expand(path, options) : [one(path, { ...options, source })];
}

/** With --parents the directories behind the first `/./` are part of the destination (BuildKit `convert_copy.go`). */
function below(source: string, options: SelectOptions): Selected[] {
  const at = source.indexOf("/./");
  const front = at < 0 ? "" : insideRoot(source.slice(0, at));
  const include = insideRoot(at < 0 ? source : source.slice(at + 3));
  const found = isGlob(front) ? expand(front, options) : [one(front, { ...options, source })];
  if (include === "") return found;
  const [item] = found;
  if (item && !isGlob(front) && !isGlob(include)) requireBelow(item, { ...options, source, include });
  return found.map((item) => (item.type === "directory" ? { ...item, include } : item));
}

/** What --parents names must be there, and not behind a link, since none is followed below `item`. */
function requireBelow(item: Selected, { include, ...options }: Named & { readonly include: string }): void {
  const path = posix.join(item.real, raw(include));
  const isThere = lstat(`${options.root}/${path}`) !== undefined;
  if (!isThere || inScope(options.root, path, { followLast: false }) !== `${options.root}/${path}`) {
    throw notFound(posix.join(shown(item.name), include), options);
  }
}

/** Sources start at the root, and `..` stops at it (BuildKit `cleanPath`). */
function insideRoot(source: string): string {
  return posix.normalize(`/${source}`).replace(/^\/+/, "").replace(/\/$/, "");
}

interface Named extends SelectOptions {
  /** As it was written. */
  readonly source: string;
}

function one(path: string, options: Named): Selected {
  const selected = selectPath(raw(path), options);
  if (selected) return selected;
  const { where, keyword, source } = options;
  if (where === "stage" || !posix.normalize(source).startsWith("..")) throw notFound(path, options);
  throw new EngineError("invalid", `${keyword} failed: forbidden path outside the build context: ${source} ()`);
}

function selectPath(path: string, { root }: SelectOptions): Selected | undefined {
  const whole = inScope(root, path, { followLast: true });
  const stat = lstat(whole);
  if (!stat) return undefined;
  const type = stat.isDirectory() ? "directory" : stat.isFile() ? "file" : "other";
  return { real: whole.slice(root.length + 1), name: path, type };
}

function notFound(path: string, { where, keyword }: SelectOptions): EngineError {
  const problem = where === "context" ? "file not found in build context or excluded by .dockerignore: " : "";
  return new EngineError("not-found", `${keyword} failed: ${problem}stat ${path}: file does not exist`);
}

/** The path that the error says is not there: errors of worker threads arrive as a kind and words. */
export function missingPath(err: unknown): string | undefined {
  const outside = isKind(err, "invalid") && / outside the build context: (.*) \(\)$/s.exec(messageOf(err))?.[1];
  if (outside) return insideRoot(outside);
  return isKind(err, "not-found") ? /stat (.*): file does not exist$/s.exec(messageOf(err))?.[1] : undefined;
}

/** Directories in front of the first pattern are followed through symlinks, others are not (fsutil `ResolveWildcards`). */
function expand(pattern: string, options: SelectOptions): Selected[] {
  const parts = pattern.split("/");
  const first = parts.findIndex(isGlob);
  const front = raw(parts.slice(0, first).join("/"));
  const base = inScope(options.root, front, { followLast: true });
  const names = matching(base, parts.slice(first));
  const prefix = front === "" ? "" : `${front}/`;
  return names.map((name) => selectPath(prefix + name, options)).filter((selected) => selected !== undefined);
}

/** Component by component, so that only directories that can match are read. */
function matching(base: string, parts: readonly string[]): string[] {
  let names = [""];
  for (const part of parts) {
    const matches = globPattern(part);
    names = names.flatMap((parent) => {
      const directory = parent === "" ? base : `${base}/${parent}`;
      if (!lstat(directory)?.isDirectory()) return [];
      const children = readdir(directory).filter((child) => matches.test(shown(child)));
      return children.map((child) => (parent === "" ? child : `${parent}/${child}`));
    });
  }
  return names;
}

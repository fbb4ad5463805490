import { lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { posix } from "node:path";
import { EngineError } from "../../../errors/mod.ts";

/** One end of a copy: what is known of it before anything is copied (moby `archive.CopyInfo`). */
export interface CopyEnd {
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
  /** What the user called it, where a symlink that was followed is called otherwise. */
  readonly calledAs?: string;
}

/** `CONTAINER:PATH`, or a local path: one that is absolute, begins with a dot or has no colon. */
export function splitArgument(argument: string): { readonly container: string; readonly path: string } {
  const colon = argument.indexOf(":");
  if (argument.startsWith("/") || argument.startsWith(".") || colon < 0) return { container: "", path: argument };
  return { container: argument.slice(0, colon), path: argument.slice(colon + 1) };
}

/** Absolute and clean, but for an end in "/" or "/.", which says that a directory is meant. */
export function absolute(cwd: string, path: string): string {
  return withEndOf(path, posix.resolve(cwd, path));
}

function withEndOf(path: string, clean: string): string {
  const below = clean === "/" ? "" : clean;
  if (saysHere(path)) return saysHere(clean) ? clean : `${below}/.`;
  return path.endsWith("/") && !clean.endsWith("/") ? `${clean}/` : clean;
}

/** The path ends in ".": the contents of a directory are meant. */
function saysHere(path: string): boolean {
  return posix.basename(path) === "." || path === "";
}

export function meansDirectory(path: string): boolean {
  return path.endsWith("/") || saysHere(path);
}

/** The directory that holds an entry, and the entry's name, which is "." for a path that ends so. */
export function splitEntry(path: string): { readonly directory: string; readonly base: string } {
  const normal = posix.normalize(path).replace(/(.)\/$/, "$1");
  if (saysHere(path)) return { directory: normal, base: "." };
  return { directory: posix.dirname(normal), base: normal === "/" ? "/" : posix.basename(normal) };
}

/** The source that a symlink leads to; its archive's names become those that the user knows. */
export function followed(path: string, target: string): Pick<CopyEnd, "path" | "calledAs"> {
  const resolved = withEndOf(path, target);
  const name = posix.basename(path);
  return { path: resolved, ...(name !== posix.basename(resolved) && { calledAs: name }) };
}

/** Throws "not-found" and "invalid" in docker's words. */
export function localSource(path: string, followLink: boolean): CopyEnd {
  const at = followLink ? followed(path, real(path)) : unfollowed(path);
  const stat = looked("lstat", at.path, () => lstatSync(at.path));
  return { ...at, exists: true, isDirectory: stat.isDirectory() };
}

/** Symlinks on the way are resolved, the last component is not, unless a slash follows it. */
function unfollowed(path: string): Pick<CopyEnd, "path" | "calledAs"> {
  const cut = path.lastIndexOf("/") + 1;
  const directory = real(path.slice(0, cut));
  const resolved = `${directory === "/" ? "" : directory}/${path.slice(cut)}`;
  const name = posix.basename(path);
  const renamed = path.endsWith("/") && name !== posix.basename(resolved);
  return { path: resolved, ...(renamed && { calledAs: name }) };
}

function real(path: string): string {
  return looked("lstat", path, () => realpathSync(path));
}

/** Throws docker's words for a place that nothing can be written to. */
export function checkOutput(path: string): void {
  const directory = posix.dirname(posix.normalize(path).replace(/(.)\/$/, "$1"));
  if (!statSync(directory, { throwIfNoEntry: false }))
    throw new EngineError("not-found", `invalid output path: directory ${JSON.stringify(directory)} does not exist`);
  const stat = tolerant(() => statSync(path, { throwIfNoEntry: false }));
  if (stat?.isBlockDevice() || stat?.isCharacterDevice())
    throw new EngineError(
      "invalid",
      `invalid output path: ${JSON.stringify(path)} must be a directory or a regular file: got a device`,
    );
}

const maxLinks = 10;

/** Symlinks at the destination's end are followed, so that they stay and what they lead to is written. */
export function localDestination(given: string): CopyEnd {
  let path = given;
  for (let links = 0; links <= maxLinks; links++) {
    const stat = tolerant(() => lstatSync(path, { throwIfNoEntry: false }));
    if (!stat) return missing(path);
    if (!stat.isSymbolicLink()) return { path, exists: true, isDirectory: stat.isDirectory() };
    const target = readlinkSync(path);
    path = target.startsWith("/") ? target : posix.join(splitEntry(path).directory, target);
  }
  throw new EngineError("invalid", `too many symlinks in ${given}`);
}

function missing(path: string): CopyEnd {
  const { directory } = splitEntry(path);
  const parent = path.endsWith("/") && tolerant(() => statSync(directory)) ? path.slice(0, -1) : directory;
  const stat = looked("stat", directory, () => statSync(directory));
  if (!stat.isDirectory()) throw new EngineError("invalid", "not a directory");
  const there = parent === directory ? undefined : tolerant(() => statSync(parent));
  if (there && !there.isDirectory()) throw new EngineError("invalid", `stat ${path}: not a directory`);
  return { path, exists: false, isDirectory: false };
}

function tolerant<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENOTDIR" || (err as NodeJS.ErrnoException).code === "ENOENT")
      return undefined;
    throw err;
  }
}

function looked<T>(how: "lstat" | "stat", path: string, look: () => T): T {
  try {
    return look();
  } catch (err) {
    const { code, path: told = path } = err as NodeJS.ErrnoException;
    const where = told.replace(/(.)\/$/, "$1");
    if (code === "ENOENT")
      throw new EngineError("not-found", `${how} ${where}: no such file or directory`, { cause: err });
    if (code === "ENOTDIR") throw new EngineError("invalid", `${how} ${where}: not a directory`, { cause: err });
    throw err;
  }
}

/** Where an archive of the source is to be unpacked, and what becomes of the first part of its names. */
export interface Plan {
  readonly directory: string;
  readonly rename?: { readonly from: string; readonly to: string };
}

/**
 * The rules of `docker cp`: into a directory that exists; onto a file that exists, or under a new name, beside it. Throws
 * docker's words: a directory cannot replace a file, and a file does not make a directory.
 */
export function plan(source: CopyEnd, destination: CopyEnd): Plan {
  if (destination.exists && destination.isDirectory) return { directory: destination.path };
  if (destination.exists && source.isDirectory) throw new EngineError("invalid", "cannot copy directory");
  if (!destination.exists && !source.isDirectory && meansDirectory(destination.path))
    throw new EngineError("not-found", "no such directory");
  const { directory, base } = splitEntry(destination.path);
  return { directory, rename: { from: source.calledAs ?? splitEntry(source.path).base, to: base } };
}

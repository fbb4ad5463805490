import { posix } from "node:path";

/**
 * A path as a user of `docker cp` writes it: counted from the root with or without a slash in front, cleaned, but for an
 * end in "/" or "/.", which says that a directory is meant, and the one that a symlink leads to
 * (moby `archive.PreserveTrailingDotOrSeparator`).
 */
export interface AskedPath {
  /** Absolute. */
  readonly full: string;
  /** What comes before the last component; "/" for the root. */
  readonly parent: string;
  /** The last component; "." for one that ends so, and for the root. */
  readonly base: string;
  readonly mustBeDirectory: boolean;
  /** What its entry in an archive is called. */
  readonly name: string;
}

export function askedPath(path: string): AskedPath {
  const clean = posix.resolve("/", path);
  const dot = path === "." || path.endsWith("/.");
  const slash = path.endsWith("/");
  const below = clean === "/" ? "" : clean;
  const full = dot ? `${below}/.` : slash ? `${below}/` : clean;
  const name = dot ? "." : clean === "/" ? "/" : posix.basename(clean);
  if (clean === "/") return { full, parent: "/", base: ".", mustBeDirectory: true, name };
  if (dot || slash) return { full, parent: full, base: ".", mustBeDirectory: true, name };
  return { full, parent: posix.dirname(clean), base: posix.basename(clean), mustBeDirectory: false, name };
}

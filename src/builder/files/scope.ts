import { EngineError } from "../../errors/mod.ts";
import { lstat, readlink } from "./fs.ts";
import { shown } from "./raw.ts";

/** As many links as the kernel follows (path_resolution(7)). */
const maxLinks = 40;

export interface ScopeOptions {
  /** Follow a symlink that is the last component. */
  readonly followLast: boolean;
  /** What to say of a path that leads out of `root`, which then is not "/" for it but an error. */
  readonly outside?: string;
}

/**
 * Where a path inside `root` leads when `root` is "/" for every symlink on the way: a path below `root` without symlinks,
 * as far as it exists. Throws "invalid" for endless links, and with `outside`. Only for trees that nobody else writes to meanwhile: a build's own context and snapshots.
 */
export function inScope(root: string, path: string, { followLast, outside }: ScopeOptions): string {
  const done: string[] = [];
  const todo = components(path);
  let links = 0;
  while (todo.length > 0) {
    const name = todo.shift() ?? "";
    if (name === "..") {
      if (done.pop() === undefined) refuse(outside);
      continue;
    }
    const here = [root, ...done, name].join("/");
    const isLink = (followLast || todo.length > 0) && lstat(here)?.isSymbolicLink();
    if (!isLink) {
      done.push(name);
      continue;
    }
    if (++links > maxLinks) throw new EngineError("invalid", `too many levels of symbolic links: ${shown(path)}`);
    const target = readlink(here);
    if (target.startsWith("/")) {
      refuse(outside);
      done.length = 0;
    }
    todo.unshift(...components(target));
  }
  return [root, ...done].join("/");
}

function refuse(outside: string | undefined): void {
  if (outside !== undefined) throw new EngineError("invalid", outside);
}

function components(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

import { EngineError } from "../../errors/mod.ts";
import * as fs from "./fs.ts";
import { shown } from "./raw.ts";
import { inScope } from "./scope.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Destination {
  /** Raw path of the root that is written into. */
  readonly root: string;
  readonly owner: Owner;
  /** COPY --link: symlinks on the way are replaced by directories instead of being followed. */
  readonly link: boolean;
  /** With --link, the directories that this copy has made: others are those of layers below, which it does not know. */
  readonly made?: Set<string>;
}

/** Where a raw path inside the root is, every directory in front of it made. */
export function prepareParent(path: string, to: Destination): string {
  const at = path.lastIndexOf("/");
  const directory = makeDirectory(path.slice(0, Math.max(at, 0)), to);
  return `${directory}/${path.slice(at + 1)}`;
}

/** Makes a directory and those above it (mode 755, the destination's owner) and says where it is. Throws "invalid" where something else is in the way. */
export function makeDirectory(path: string, to: Destination): string {
  let done = to.root;
  const parts = to.link
    ? path.split("/")
    : inScope(to.root, path, { followLast: true }).slice(to.root.length).split("/");
  for (const name of parts) {
    if (name === "" || name === ".") continue;
    done = `${done}/${name}`;
    const stat = fs.lstat(done);
    if (stat?.isDirectory() && (!to.link || to.made?.has(done))) continue;
    if (stat && !to.link) throw inTheWay(done, to.root);
    if (stat && !stat.isDirectory()) fs.unlink(done);
    if (!stat?.isDirectory()) fs.mkdir(done, 0o755);
    to.made?.add(done);
    fs.lchown(done, to.owner);
    fs.chmod(done, 0o755);
  }
  return done;
}

function inTheWay(path: string, root: string): EngineError {
  return new EngineError("invalid", `cannot create directory ${shown(path.slice(root.length))}: not a directory`);
}

import { EngineError } from "../../errors/mod.ts";
import type { JobContext } from "../../host/mod.ts";
import { ignoreMatcher } from "../../patterns/mod.ts";
import { copyXattrs, makeNodeLike, setTimes } from "./attributes.ts";
import type { Chmod } from "./chmod.ts";
import * as fs from "./fs.ts";
import type { Owner } from "./place.ts";
import { shown } from "./raw.ts";
import { type Visited, walk } from "./walk.ts";

export interface CopyOptions {
  /** undefined: as it is at the source. */
  readonly owner?: Owner;
  /** For files and directories below the destination; undefined: as it is at the source. */
  readonly chmod?: Chmod;
  readonly exclude: readonly string[];
  /** For messages: raw path of the root that is written into. */
  readonly root: string;
  readonly context: JobContext;
  /** Of --link: see {@link Destination}. What else is there gives way. */
  readonly made?: Set<string>;
}

/** Copies one file, link or node, or the contents of a directory. Nothing that is copied is followed. */
export class TreeCopier {
  readonly #options: CopyOptions;
  readonly #excluded: (path: string) => boolean;
  /** Directories on the way that were there before. */
  readonly #existing = new Set<string>();
  /** First copies of files with several names, by device and inode. */
  readonly #links = new Map<string, string>();

  constructor(options: CopyOptions) {
    this.#options = options;
    this.#excluded = ignoreMatcher(options.exclude);
  }

  /** `to` is a directory that exists; of its own attributes only the time changes. With `include` only what matches is copied. */
  contents(from: string, to: string, include?: string): void {
    const { exclude, context } = this.#options;
    const at = ({ path }: Visited) => `${to}/${path}`;
    walk(from, {
      exclude,
      context,
      ...(include !== undefined && { include }),
      visitor: {
        enter: (directory) => this.#enter(directory, at(directory)),
        leave: (directory) => this.#leave(directory, at(directory)),
        leaf: (file) => this.#leaf({ from: file.whole, to: at(file), stat: file.stat }),
      },
    });
    const stat = include === undefined ? fs.lstat(from) : undefined;
    if (stat) setTimes(to, stat.mtimeNs);
  }

  /** One thing that is not a directory, to the path `to`. */
  single(from: string, to: string): void {
    if (this.#excluded(shown(from.slice(from.lastIndexOf("/") + 1)))) return;
    const stat = fs.lstat(from);
    if (stat) this.#leaf({ from, to, stat });
  }

  #enter({ path }: Visited, to: string): void {
    const { made } = this.#options;
    const there = fs.lstat(to);
    if (there && !there.isDirectory() && !made) {
      throw new EngineError("invalid", `cannot copy to non-directory: ${this.#shown(to)}`);
    }
    if (there && !there.isDirectory()) fs.unlink(to);
    if (there?.isDirectory()) {
      if (!made || made.has(to)) this.#existing.add(path);
    } else fs.mkdir(to, 0o700);
    made?.add(to);
  }

  /** Of a directory that was there already, one that only holds what is copied has no more than its mode changed. */
  #leave({ whole, path, stat, own }: Visited, to: string): void {
    const existed = this.#existing.delete(path);
    if (own || !existed) this.#attributes(whole, { to, stat });
    else fs.chmod(to, this.#mode(stat));
  }

  #leaf({ from, to, stat }: { from: string; to: string; stat: fs.Stat }): void {
    this.#clear(to);
    const key = stat.nlink > 1n ? `${stat.dev}:${stat.ino}` : undefined;
    const first = key === undefined ? undefined : this.#links.get(key);
    if (first !== undefined) {
      fs.link(first, to);
      return;
    }
    if (key !== undefined) this.#links.set(key, to);
    if (stat.isFile()) fs.copyFile(from, to, { size: stat.size, check: this.#options.context.check });
    else if (stat.isSymbolicLink()) fs.symlink(fs.readlink(from), to);
    else if (!stat.isSocket()) makeNodeLike(to, stat);
    else return;
    this.#attributes(from, { to, stat });
  }

  #clear(to: string): void {
    const there = fs.lstat(to);
    if (!there) return;
    const { made } = this.#options;
    if (!there.isDirectory()) fs.unlink(to);
    else if (made && !made.has(to)) fs.remove(to);
    else throw new EngineError("invalid", `cannot overwrite directory ${this.#shown(to)} with non-directory`);
  }

  /** Owner first: it clears setuid bits and capabilities (chown(2)). */
  #attributes(from: string, { to, stat }: { to: string; stat: fs.Stat }): void {
    fs.lchown(to, this.#options.owner ?? { uid: Number(stat.uid), gid: Number(stat.gid) });
    if (!stat.isSymbolicLink()) fs.chmod(to, this.#mode(stat));
    copyXattrs(from, to);
    setTimes(to, stat.mtimeNs);
  }

  #mode(stat: fs.Stat): number {
    const mode = Number(stat.mode) & 0o7777;
    return this.#options.chmod?.(mode, stat.isDirectory()) ?? mode;
  }

  #shown(path: string): string {
    return shown(path.slice(this.#options.root.length));
  }
}

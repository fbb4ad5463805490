import { EngineError } from "../../errors/mod.ts";
import type { JobContext } from "../../host/mod.ts";
import { ignoreMatcher } from "../../patterns/mod.ts";
import { copyXattrs, makeNodeLike, setTimes } from "./attributes.ts";
import * as fs from "./fs.ts";
import type { Owner } from "./place.ts";
import { shown } from "./raw.ts";

export interface CopyOptions {
  /** undefined: as it is at the source. */
  readonly owner?: Owner;
  /** For files and directories below the destination; undefined: as it is at the source. */
  readonly mode?: number;
  readonly exclude: readonly string[];
  /** For messages: raw path of the root that is written into. */
  readonly root: string;
  readonly context: JobContext;
}

/** Copies one file, link or node, or the contents of a directory. Nothing that is copied is followed. */
export class TreeCopier {
  readonly #options: CopyOptions;
  readonly #excluded: (path: string) => boolean;
  /** First copies of files with several names, by device and inode. */
  readonly #links = new Map<string, string>();

  constructor(options: CopyOptions) {
    this.#options = options;
    this.#excluded = ignoreMatcher(options.exclude);
  }

  /** `to` is a directory that exists; its own attributes stay. */
  contents(from: string, to: string): void {
    this.#children({ from, to, path: "" });
  }

  /** One thing that is not a directory, to the path `to`. */
  single(from: string, to: string): void {
    if (this.#excluded(shown(from.slice(from.lastIndexOf("/") + 1)))) return;
    const stat = fs.lstat(from);
    if (stat) this.#leaf({ from, to, stat });
  }

  #children({ from, to, path }: { from: string; to: string; path: string }): void {
    this.#options.context.check();
    for (const name of fs.readdir(from)) {
      const child = { from: `${from}/${name}`, to: `${to}/${name}`, path: path === "" ? name : `${path}/${name}` };
      const stat = fs.lstat(child.from);
      if (!stat) continue;
      const excluded = this.#excluded(shown(child.path));
      if (stat.isDirectory()) this.#directory({ ...child, stat, excluded });
      else if (!excluded) this.#leaf({ ...child, stat });
    }
  }

  /** An excluded directory is made only when something below it is taken back in. */
  #directory(entry: { from: string; to: string; path: string; stat: fs.Stat; excluded: boolean }): void {
    const { from, to, path, stat, excluded } = entry;
    if (excluded && !this.#anythingBelow(from, path)) return;
    const there = fs.lstat(to);
    if (there && !there.isDirectory()) {
      throw new EngineError("invalid", `cannot copy to non-directory: ${this.#shown(to)}`);
    }
    if (!there) fs.mkdir(to, 0o700);
    this.#children({ from, to, path });
    this.#attributes(from, { to, stat });
  }

  #anythingBelow(from: string, path: string): boolean {
    return fs.readdir(from).some((name) => {
      const child = `${path}/${name}`;
      if (!this.#excluded(shown(child))) return true;
      return fs.lstat(`${from}/${name}`)?.isDirectory() === true && this.#anythingBelow(`${from}/${name}`, child);
    });
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
    if (stat.isFile()) fs.copyFile(from, to);
    else if (stat.isSymbolicLink()) fs.symlink(fs.readlink(from), to);
    else if (!stat.isSocket()) makeNodeLike(to, stat);
    else return;
    this.#attributes(from, { to, stat });
  }

  #clear(to: string): void {
    const there = fs.lstat(to);
    if (!there) return;
    if (there.isDirectory()) {
      throw new EngineError("invalid", `cannot overwrite directory ${this.#shown(to)} with non-directory`);
    }
    fs.unlink(to);
  }

  /** Owner first: it clears setuid bits and capabilities (chown(2)). */
  #attributes(from: string, { to, stat }: { to: string; stat: fs.Stat }): void {
    fs.lchown(to, this.#options.owner ?? { uid: Number(stat.uid), gid: Number(stat.gid) });
    if (!stat.isSymbolicLink()) fs.chmod(to, this.#options.mode ?? Number(stat.mode) & 0o7777);
    copyXattrs(from, to);
    setTimes(to, stat.mtimeNs);
  }

  #shown(path: string): string {
    return shown(path.slice(this.#options.root.length));
  }
}

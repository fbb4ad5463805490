import type { Filters, VolumeCreateBody, VolumeInspect } from "../wire/mod.ts";
import type { ImportOptions } from "./moving/import.ts";
import type { AlsoRename } from "./moving/rename.ts";

/**
 * Named directories that outlive containers, and who holds them. A volume with a holder is never removed. The row comes
 * before the directory and goes before it. Anonymous volumes have a 64-digit name and the label that Docker gives them.
 * A volume with the local driver's options (type, device, o) is a mount on its directory, there while somebody uses it.
 * One with a size is an ext4 file system in a file with holes (`disk`), mounted there just so.
 * Files: `DIR/NAME/_data`; beside it `copy` and `ready` while an image's files come in.
 */
export interface Volumes {
  /** The existing volume of that name, or a new one. Throws "invalid" (name, driver options), "not-found" (driver), "conflict" (it exists with other options). An empty name makes an anonymous one. */
  create(options: VolumeCreateBody): Promise<VolumeInspect>;
  /** Throws "not-found": `get NAME: no such volume`. */
  get(name: string): VolumeInspect;
  /** Filters: name, label, driver, dangling; others are "invalid". */
  list(filter: Filters): VolumeInspect[];
  /** Throws "conflict" naming the holders while in use; "not-found" unless forced. */
  remove(name: string, force: boolean): Promise<void>;
  /** Marks it as held (a row per holder, usually a container id) and returns its directory. Throws "not-found". */
  acquire(name: string, holder: string): Promise<VolumeLease>;
  /** It holds and uses it no longer. */
  release(name: string, holder: string): Promise<void>;
  /**
   * A holder is about to use it: mounts what its options say unless that is there, and returns the directory. Throws
   * "internal" in Docker's words when the kernel refuses. May take as long as a file server does; others need not wait.
   */
  mount(name: string, user: string): Promise<string>;
  /** Somebody uses none of them any longer: with its last user what was mounted is unmounted. */
  unmountAll(user: string): Promise<void>;
  /** Once after a start: what is mounted for these users by volume stays, all else is unmounted. */
  recoverMounts(live: ReadonlyMap<string, readonly string[]>): Promise<void>;
  holders(name: string): string[];
  /** Copies an image's directory into a volume that is still empty: owners, modes, times, xattrs, links. Once per volume, even if two containers start at once. `source` is a host path inside a mounted root; what is no directory is left alone. What holders write meanwhile wins. What its options say is mounted meanwhile. */
  copyUp(name: string, source: string): Promise<void>;
  /** Holds and mounts it for an operation of this program, until it is disposed of. Throws as `mount` does. */
  hold(name: string): Promise<VolumeHold>;
  /**
   * Gives it another name; holders keep it. `also` changes whatever else names it, in the same transaction. Throws "invalid"
   * (name), "not-found", "conflict" (somebody uses it, or the name is taken). A crash leaves the old name or the new one.
   */
  rename(from: string, to: string, also?: AlsoRename): Promise<void>;
  /**
   * A new volume with the same files: blocks are shared where the file system can (FICLONE by way of copy_file_range(2)),
   * holes stay holes. It has the source's size unless the request has one. It appears when it is complete. Throws "conflict" when the name is taken, "not-found", "invalid".
   */
  clone(from: string, request: VolumeCreateBody, options?: CloneOptions): Promise<VolumeInspect>;
  /**
   * Fills a volume, which is made if it is missing. One that is not empty is a "conflict", unless forced: then its files are
   * replaced, all at once. Nothing changes when `unpack` fails, or in a crash; but what has driver options is written to in
   * place. Throws "conflict" while a container runs with it.
   */
  import(name: string, options: ImportOptions): Promise<VolumeInspect>;
  /**
   * Changes the limit of a volume that has one, for those who use it, too. Throws "invalid" (size, a volume without a limit, no
   * room), "conflict" (more is in use), "not-found". A crash leaves the old limit or the new one.
   */
  resize(name: string, size: string): Promise<VolumeInspect>;
  /** Sets labels, or takes away those that are null. Throws "not-found". */
  relabel(name: string, labels: Readonly<Record<string, string | null>>): VolumeInspect;
  /** Removes volumes that nobody holds (anonymous only, unless `all`). */
  prune(filter: Filters): Promise<{ deleted: string[]; reclaimed: number }>;
  /** Deletes directories without a row and completes what a crash interrupted; done when opened. */
  sweep(): Promise<void>;
  usage(name: string): Promise<number>;
}

export interface CloneOptions {
  readonly signal?: AbortSignal;
  /** How many bytes of files were copied so far. */
  readonly onBytes?: (bytes: number) => void;
}

export interface VolumeHold extends AsyncDisposable {
  readonly directory: string;
}

export interface VolumeLease {
  readonly directory: string;
  /** True when nothing has been written yet, so that copy-up is due. */
  readonly empty: boolean;
}

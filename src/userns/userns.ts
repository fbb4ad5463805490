import type { IdMap, Mount } from "../host/mod.ts";

/**
 * User namespaces for containers: root in one is nobody in particular outside.
 *
 * All of them have the same ids, a range of the host's that nobody else has (subuid(5), subgid(5)). Files are always
 * stored with the ids that they have *inside*: `show` lets a directory be seen with the ids that these have outside, which
 * is what a process in a namespace needs. So layers, volumes and what a container writes are the same with and without a
 * namespace, nothing is ever copied or chowned, and the range may change from one start of a container to the next.
 *
 * A namespace is a file in `EXEC-ROOT/userns` with the holder's name, to be joined by its path; it belongs to nobody's
 * process. Those that hold maps for `show` lie beside them.
 */
export interface UserNamespaces {
  /** Whether containers that do not say otherwise get one. */
  readonly remapped: boolean;
  /** Whose ids all of them have. Throws "invalid" or "unavailable" where there are none. */
  map(): Promise<IdMap>;
  /** A namespace for a holder. Throws "conflict" when it has one, "unavailable" when this host has no ids or namespaces to give. */
  open(holder: string): Promise<UserNamespace>;
  /** No error when the holder has none. */
  close(holder: string): void;
  /** Mounts a file or directory at another place, with the owners that its files have for processes of a namespace with this map. */
  show(source: string, target: string, map: IdMap): Promise<void>;
  /**
   * The same for files that are stored with ids of the host's: `map` says which id on disk (inside) is which of the host's
   * (outside). Files of all others belong to nobody. Throws "unavailable" where a file system cannot do that.
   */
  showExactly(source: string, target: string, how: ExactMap): Promise<void>;
  /** Mounts layers that are kept in one directory, with the owners that they have for processes of a namespace. */
  mountMapped(tree: MappedTree): Promise<void>;
  /**
   * Binds what a process is to have from the host at places below `staged` that its namespace's root can reach, who may well not
   * search the directories above the real ones: the runtime mounts them as that root. Returns the mounts with their new sources.
   */
  stage<M extends StagedMount>(
    mounts: readonly M[],
    where: { readonly staged: string; readonly map: IdMap },
  ): Promise<M[]>;
  /** Takes down what the two have staged, once the runtime has what it needs, or what a crash has left of it. No error when there is none. */
  unstage(staged: string): Promise<void>;
  /** Removes those of holders that do not live. */
  recover(live: ReadonlySet<string>): void;
  /** The daemon goes; namespaces of those that live stay. */
  shutdown(): void;
}

export interface ExactMap {
  readonly map: IdMap;
  /** With what is mounted below the source. */
  readonly recursive: boolean;
}

export interface MappedTree {
  /** The directory with all layers. */
  readonly source: string;
  readonly target: string;
  /** The mounts, for a `source` that shows at this place. */
  mounts(at: string): readonly Mount[] | Promise<readonly Mount[]>;
  /** A directory of the holder's own; made when missing. */
  readonly staged: string;
  /** The engine's directories above the two, which are closed to others: the namespace's root is let through. */
  readonly through: readonly string[];
  readonly map: IdMap;
}

export interface StagedMount extends Mount {
  /** Its files belong to users of the namespace, such as a volume's do; the others' belong to users of the host, who are nobody there. */
  readonly owned?: boolean;
}

export interface UserNamespace {
  /** Of the namespace's file. */
  readonly path: string;
  readonly map: IdMap;
}

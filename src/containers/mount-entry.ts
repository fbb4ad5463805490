/** One mount of a container, resolved at creation: what its row keeps, what `inspect` shows, what `start` mounts. */
export interface MountEntry {
  readonly type: "bind" | "volume" | "tmpfs";
  /** The volume's name. */
  readonly name?: string;
  /** A path on the host; "" for a tmpfs. */
  readonly source: string;
  /** Absolute and clean. */
  readonly destination: string;
  readonly rw: boolean;
  /** The options as the user wrote them after the second colon, as `inspect` shows them. */
  readonly mode: string;
  readonly propagation: string;
  /** False for `bind-nonrecursive`. */
  readonly recursive: boolean;
  /** Data of a tmpfs: "size=…,mode=…". */
  readonly tmpfs?: readonly string[];
  /** A directory inside the volume. */
  readonly subpath?: string;
  /** Made by the engine for this container, so `rm -v` removes it with the container. */
  readonly anonymous: boolean;
  /** The image's content at the destination fills the volume while it is empty. */
  readonly copyUp: boolean;
  /** A bind's missing source is made (`-v`), or is an error (`--mount`). */
  readonly createSource: boolean;
}

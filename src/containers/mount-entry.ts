import type { Digest } from "../oci/mod.ts";
import type { Idmap } from "./mounts/idmap.ts";

/** One mount of a container, resolved at creation: what its row keeps, what `inspect` shows, what `start` mounts. */
export interface MountEntry {
  readonly type: "bind" | "volume" | "tmpfs" | "image";
  /** The volume's name, or the image as it was asked for. */
  readonly name?: string;
  /** Of a mounted image: its id, which keeps it from being removed. */
  readonly imageId?: Digest;
  /** A path on the host; "" for a tmpfs. */
  readonly source: string;
  /** Absolute and clean. */
  readonly destination: string;
  readonly rw: boolean;
  /** The options as the user wrote them after the second colon, as `inspect` shows them. */
  readonly mode: string;
  readonly propagation: string;
  /** Nobody asked for this propagation: where it cannot be had, a private mount will do. */
  readonly quietly?: boolean;
  /** False for `bind-nonrecursive`. */
  readonly recursive: boolean;
  /** Data of a tmpfs: "size=…,mode=…". */
  readonly tmpfs?: readonly string[];
  /** Read-only leaves what is mounted below the source as it is; otherwise it goes for all of that. */
  readonly readOnlyAlone?: boolean;
  /** Its files belong to others in the container than on disk. */
  readonly idmap?: Idmap;
  /** A directory or file inside the volume or image. */
  readonly subpath?: string;
  /** Named by the engine, so `rm -v` of the last container that has it removes it. */
  readonly anonymous: boolean;
  /** The image's content at the destination fills the volume while it is empty. */
  readonly copyUp: boolean;
  /** A bind's missing source is made (`-v`), or is an error (`--mount`). */
  readonly createSource: boolean;
}

import type { Digest } from "../../oci/mod.ts";
import type { RunMount } from "../dockerfile/mount.ts";
import type { GitRef } from "../git/ref.ts";

/** One step of a build: an operation on the file system that its base vertex left. Plain data, made by `toGraph`. */
export interface Vertex {
  readonly id: number;
  readonly op: Op;
  /** undefined: an empty root. */
  readonly base?: Vertex;
  /** Other vertices whose results the operation reads. */
  readonly inputs: readonly Vertex[];
  /** Its stage was named as one that nothing of the cache is for. */
  readonly uncached?: boolean;
}

export type Op = ImageOp | ExecOp | CopyOp | WorkdirOp;

/** The file system of an image that is here. */
export interface ImageOp {
  readonly kind: "image";
  readonly image: Digest;
}

export interface ExecOp {
  readonly kind: "exec";
  readonly args: readonly string[];
  /** `NAME=value` in order, later ones win; part of the cache key. */
  readonly env: readonly string[];
  /** Proxies that nobody declared: seen by the process, not by the cache. */
  readonly hiddenEnv: readonly string[];
  readonly user: string;
  readonly cwd: string;
  readonly network: "default" | "none" | "host";
  readonly mounts: readonly ExecMount[];
  /** A script that a here-document with `#!` brings, shown at this path. */
  readonly script?: { readonly path: string; readonly text: string };
}

export interface ExecMount extends RunMount {
  /** Stage or image to mount from; undefined is the build context where the type reads one. */
  readonly input?: Vertex;
}

export interface CopyOp {
  readonly kind: "copy";
  readonly keyword: "COPY" | "ADD";
  readonly sources: readonly SourceFile[];
  /** Where the sources are: the build context, or what `from` left (nothing, for an empty stage). */
  readonly origin: "context" | "stage";
  readonly from?: Vertex;
  /** Absolute; ends with a slash when it must be a directory. */
  readonly destination: string;
  readonly chown?: string;
  /** Octal or symbolic (`files/chmod.ts`). */
  readonly chmod?: string;
  /** Of the one download: its digest, or the name of a commit. */
  readonly checksum?: string;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** Whether archives are unpacked; undefined: local ones are for ADD. */
  readonly unpack?: boolean;
}

export type SourceFile =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "git"; readonly url: string; readonly git: GitRef }
  | { readonly kind: "text"; readonly name: string; readonly text: string };

/** Makes a directory where there is none. */
export interface WorkdirOp {
  readonly kind: "workdir";
  readonly path: string;
  /** Who new directories belong to. */
  readonly user: string;
}

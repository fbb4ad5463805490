/** Bytes in, bytes out. A consumer that stops reading stops the producer: everything here is pulled. */
export type Bytes = AsyncIterable<Uint8Array>;

export type TarType = "file" | "directory" | "symlink" | "hardlink" | "fifo" | "character" | "block";

/** One entry's header, with pax and GNU extensions already applied (POSIX pax, tar(5)). */
export interface TarHeader {
  /** Bytes, since names need not be UTF-8; without a trailing slash. */
  readonly name: Uint8Array;
  readonly type: TarType;
  /** Permission bits with setuid, setgid and sticky: 0o0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content after a sparse file is expanded; 0 for all but files. May exceed 8 GiB. */
  readonly size: bigint;
  /** Nanoseconds since 1970; may be negative. */
  readonly mtime: bigint;
  /** Target of a symlink or hard link. */
  readonly linkname?: Uint8Array;
  readonly major?: number;
  readonly minor?: number;
  /** From `SCHILY.xattr.*`. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array>;
}

/** An entry and its content. The content must be consumed (or skipped) before the next entry is asked for. */
export interface TarEntry {
  readonly header: TarHeader;
  readonly content: Bytes;
}

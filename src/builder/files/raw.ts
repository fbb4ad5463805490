/**
 * File names are bytes, and need not be UTF-8. Here they are strings with one character a byte ("raw"), which can be cut
 * and joined like other strings and lose nothing; `bytes` is what file system calls get.
 */
export function raw(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export function rawBytes(name: string): Buffer {
  return Buffer.from(name, "latin1");
}

/** For messages and patterns; what is not UTF-8 becomes U+FFFD. */
export function shown(name: string): string {
  return rawBytes(name).toString("utf8");
}

/** Byte order, the same on every machine. */
export function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

import { posix } from "node:path";

/** `path` as seen from `base`, normalised; a trailing slash is kept. Both are paths inside a root: `..` stops at it. */
export function joinPath(base: string, path: string): string {
  const whole = posix.resolve("/", base, path);
  return /\/\.?$/.test(path) && whole !== "/" ? `${whole}/` : whole;
}

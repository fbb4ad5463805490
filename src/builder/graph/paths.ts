import { posix } from "node:path";
import { spend } from "../dockerfile/budget.ts";

/** `path` as seen from `base`, normalised; a trailing slash is kept. Both are paths inside a root: `..` stops at it. */
export function joinPath(base: string, path: string): string {
  spend(base.length + path.length); // a working directory grows with each WORKDIR
  const whole = posix.resolve("/", base, path);
  return /\/\.?$/.test(path) && whole !== "/" ? `${whole}/` : whole;
}

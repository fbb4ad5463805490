import { closeSync, fstatSync, mkdirSync, openSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { errnoText } from "../errno.ts";
import type { Job } from "../host.ts";
import { MS } from "../mount-options.ts";
import { rawMount } from "../mounts.ts";
import { insideRoot } from "../rooted.ts";

export interface BindInside {
  /** Trusted; what is below it is not. */
  readonly root: string;
  readonly path: string;
  /** Must not exist: it is made, as a directory or as a file, like what is mounted on it. */
  readonly target: string;
}

/**
 * Mounts what a path means inside a root on a directory or file of its own; false when there is nothing. The kernel finds
 * the path without leaving the root (openat2(2), RESOLVE_IN_ROOT), and what it found is what is mounted, whoever swaps a
 * directory for a symlink meanwhile. Symbolic links of the kind that proc(5) has are not followed.
 */
export const bindInside: Job<BindInside, boolean> = {
  name: "bindInside",
  run: ({ root, path, target }) =>
    insideRoot(root, path, (fd) => {
      if (fstatSync(fd).isDirectory()) mkdirSync(target, { mode: 0o700 });
      else closeSync(openSync(target, "wx", 0o600));
      const code = rawMount([`/proc/self/fd/${fd}`, target, "none", MS.BIND | MS.REC, ""]);
      if (code !== 0) throw new EngineError("internal", `Mount ${path} of ${root} on ${target}: ${errnoText(code)}`);
      return true;
    }) ?? false,
};

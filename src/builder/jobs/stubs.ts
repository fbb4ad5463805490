import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { type Job, readXattr } from "../../host/mod.ts";
import { raw } from "../files/raw.ts";
import { inScope } from "../files/scope.ts";
import type { Stubs } from "../ops/stubs.ts";

export interface StubsInput extends Stubs {
  /** A layer's own files while nothing is mounted. */
  readonly upper: string;
}

/**
 * Takes away the empty files and directories that a runtime made as mount points, and the copies of directories above
 * them that overlayfs made for that (upper directories that hold nothing and differ in nothing): a step that changed
 * nothing then leaves nothing (BuildKit `executor/stubs.go`).
 */
export const stubsJob: Job<StubsInput, void> = {
  name: "builder.stubs",
  run({ upper, missing, parents }) {
    for (const path of missing) removeEmpty(place(upper, path));
    for (const parent of parents) {
      const path = place(upper, parent.path);
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (!stat?.isDirectory() || readXattr(path, "trusted.overlay.opaque")) continue;
      const same = (stat.mode & 0o7777) === parent.mode && stat.uid === parent.uid && stat.gid === parent.gid;
      if (same) removeEmpty(path);
    }
  },
};

/** The layer's own symlinks cannot lead out: its paths are resolved in it as in any hostile tree. */
function place(upper: string, path: string): string {
  const at = path.lastIndexOf("/");
  const parent = inScope(raw(upper), raw(path.slice(0, at)), { followLast: true });
  return join(Buffer.from(parent, "latin1").toString("utf8"), path.slice(at + 1));
}

function removeEmpty(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() && stat.size === 0) unlinkSync(path);
  else if (stat?.isDirectory() && readdirSync(path).length === 0) rmdirSync(path);
}

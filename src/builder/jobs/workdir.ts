import { EngineError } from "../../errors/mod.ts";
import type { Job } from "../../host/mod.ts";
import * as fs from "../files/fs.ts";
import { makeDirectory, type Owner } from "../files/place.ts";
import { raw } from "../files/raw.ts";
import { inScope } from "../files/scope.ts";

export interface WorkdirInput {
  readonly root: string;
  readonly path: string;
  /** undefined: only look. */
  readonly owner?: Owner;
}

/** Says whether the directory is there; with an owner, makes it. Throws "invalid" when something else is in the way. */
export const workdirJob: Job<WorkdirInput, boolean> = {
  name: "builder.workdir",
  run({ root, path, owner }) {
    const place = raw(root);
    const there = fs.lstat(inScope(place, raw(path), { followLast: true }));
    if (there?.isDirectory()) return true;
    if (there) throw new EngineError("invalid", `cannot mkdir: ${path} is not a directory`);
    if (owner) makeDirectory(raw(path), { root: place, owner, link: false });
    return false;
  },
};

import { renameSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import type { Job, JobContext } from "../../host/mod.ts";
import { ignoreMatcher } from "../../patterns/mod.ts";
import * as fs from "../files/fs.ts";
import { raw, rawBytes } from "../files/raw.ts";
import { inScope } from "../files/scope.ts";
import { type Visited, walk } from "../files/walk.ts";
import { prune, type Tidied, tidy } from "./receive.ts";

export interface TakeCheckoutInput {
  /** A repository that nobody writes to any more. */
  readonly checkout: string;
  /** For messages: where it is from. */
  readonly remote: string;
  /** What of it is the context; undefined: all. */
  readonly subdir?: string;
  readonly keepGitDir: boolean;
  /** A directory that does not exist yet, on the same file system. */
  readonly directory: string;
  /** Path of the Dockerfile in the context. */
  readonly dockerfile: string;
  /** The Dockerfile itself, where it is not the context's. */
  readonly dockerfileText?: string;
}

/**
 * Makes a build context of a checkout, whose files become root's. Here `.dockerignore` applies to all of it: unlike an
 * archive, a repository has everything that was ever committed. Throws "invalid" for a directory that is not in it.
 */
export const takeCheckoutJob: Job<TakeCheckoutInput, Tidied> = {
  name: "builder.takeCheckout",
  run(input, context) {
    const { checkout, directory, keepGitDir } = input;
    if (!keepGitDir) prune(raw(checkout), { ignored: ignoreMatcher(["**/.git"]), context });
    const from = contextIn(input);
    ownByRoot(from, context);
    renameSync(rawBytes(from), directory);
    const root = raw(directory);
    const tidied = tidy(root, { ...input, context });
    prune(root, { ignored: ignoreMatcher(tidied.ignore), context });
    return tidied;
  },
};

function contextIn({ checkout, remote, subdir }: TakeCheckoutInput): string {
  if (subdir === undefined) return raw(checkout);
  const what = `directory ${JSON.stringify(subdir)} of ${remote}`;
  const path = inScope(raw(checkout), raw(subdir), { followLast: true, outside: `the ${what} leads out of it` });
  const stat = fs.lstat(path);
  if (!stat) throw new EngineError("invalid", `there is no ${what}`);
  if (!stat.isDirectory()) throw new EngineError("invalid", `the ${what} is no directory`);
  return path;
}

function ownByRoot(directory: string, context: JobContext): void {
  const owner = { uid: 0, gid: 0 };
  const own = ({ whole }: Visited) => fs.lchown(whole, owner);
  fs.lchown(directory, owner);
  walk(directory, { exclude: [], context, visitor: { enter: own, leaf: own, leave: () => undefined } });
}

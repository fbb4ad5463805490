import { type Processes, removeTree, type Workers } from "../host/mod.ts";
import { gitMaterial, withoutCredentials } from "./attest/materials.ts";
import type { BuildContext } from "./builder.ts";
import { checkoutGit } from "./git/checkout.ts";
import type { GitRef } from "./git/ref.ts";
import { takeCheckoutJob } from "./jobs/take-checkout.ts";
import type { BuildSession } from "./session.ts";

export interface GitContextOptions {
  readonly workers: Workers;
  readonly processes: Processes;
  /** Made for the context; must not exist. What is on the way lies beside it, with `.git` behind the name. */
  readonly directory: string;
  /** Path of the Dockerfile in the context. */
  readonly dockerfile: string;
  /** The Dockerfile itself, where it is not the context's. */
  readonly dockerfileText?: string;
  /** Of the client whose build it is. */
  readonly session?: BuildSession;
  readonly signal: AbortSignal;
}

/** A repository, or a directory in it, as a build context. Throws "invalid" for what is not there. */
export async function gitContext(git: GitRef, options: GitContextOptions): Promise<BuildContext> {
  const { workers, processes, directory, dockerfile, dockerfileText, session, signal } = options;
  const { remote, subdir, keepGitDir = false } = git;
  const checkout = `${directory}.git`;
  await using undo = new AsyncDisposableStack();
  undo.defer(() => workers.run(removeTree, { path: checkout }));
  const commit = await checkoutGit({ processes, git, directory: checkout, signal, ...(session && { session }) });
  const taken = {
    checkout,
    remote: withoutCredentials(remote),
    keepGitDir,
    directory,
    dockerfile,
    ...(subdir !== undefined && { subdir }),
    ...(dockerfileText !== undefined && { dockerfileText }),
  };
  const tidied = await workers.run(takeCheckoutJob, taken, { signal });
  return { directory, dockerfile, origin: gitMaterial(git, commit), ...tidied };
}

import { isKind, messageOf } from "../../errors/mod.ts";
import { type CliIo, tell } from "../io.ts";

/** Exit statuses of a container that never ran, as docker and the shell have them. */
const status = { missing: 127, notExecutable: 126, engine: 125, givenUp: 1 } as const;

/** What `run` exits with, from what the engine says about the start (docker/cli `cli/command/container/run.go`, toStatusError). */
export function statusOf(err: unknown): number {
  const message = messageOf(err);
  if (isKind(err, "canceled")) return status.givenUp;
  if (/executable file not found|no such file or directory/.test(message)) return status.missing;
  if (/permission denied|is a directory/.test(message)) return status.notExecutable;
  return status.engine;
}

/** Tells why a container did not run, and gives the exit status for that. */
export async function toldBeforeRunning(io: CliIo, words: string, err: unknown): Promise<number> {
  await tellFailure(io, words, err);
  return status.engine;
}

export async function toldNotStarted(io: CliIo, words: string, err: unknown): Promise<number> {
  // The third Ctrl-C: there is nothing to tell that is not on the screen yet.
  if (!isKind(err, "canceled")) await tellFailure(io, words, err);
  return statusOf(err);
}

function tellFailure(io: CliIo, words: string, err: unknown): Promise<void> {
  return tell(io, `berth: ${messageOf(err)}\n\nRun '${words} --help' for more information\n`);
}

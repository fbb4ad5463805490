import { closeSync, constants, openSync } from "node:fs";
import { raceAbort } from "../async/mod.ts";
import type { Processes } from "../host/mod.ts";

export interface Decompression {
  readonly format: "bzip2" | "xz";
  readonly from: string;
  /** Made; must not exist. */
  readonly to: string;
  readonly signal: AbortSignal;
}

/** Decompresses a file with the format's program. False when the file is not what its first bytes say. */
export async function decompressFile(processes: Processes, job: Decompression): Promise<boolean> {
  const from = openSync(job.from, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const to = openSync(job.to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      return await run(processes, { ...job, stdio: [from, to, "ignore"] });
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

async function run(
  processes: Processes,
  { format, stdio, signal }: Decompression & { readonly stdio: readonly (number | "ignore")[] },
): Promise<boolean> {
  const child = processes.spawn([format, "-dc"], { stdio });
  try {
    return (await raceAbort(child.exited, signal)) === 0;
  } catch (err) {
    child.kill(9);
    await child.exited;
    throw err;
  }
}

import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { raceAbort } from "../async/mod.ts";
import type { Processes } from "../host/mod.ts";
import { bomb, mostDecompressed } from "./files/bomb.ts";

export interface Decompression {
  readonly format: "bzip2" | "xz";
  readonly from: string;
  /** Made; must not exist. */
  readonly to: string;
  readonly signal: AbortSignal;
}

/** Decompresses a file with the format's program. False when the file is not what its first bytes say. Throws "invalid" for one that is made to fill disks. */
export async function decompressFile(processes: Processes, job: Decompression): Promise<boolean> {
  const from = openSync(job.from, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const to = openSync(job.to, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const most = mostDecompressed(fstatSync(from).size);
      return await run(processes, { ...job, most, stdio: [from, to, "ignore"] });
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

interface Run extends Decompression {
  /** Bytes that may come of it. */
  readonly most: number;
  readonly stdio: readonly (number | "ignore")[];
}

async function run(processes: Processes, { format, from, to, most, stdio, signal }: Run): Promise<boolean> {
  const child = processes.spawn([format, "-dc"], { stdio });
  const tooMuch = new AbortController();
  const watch = setInterval(() => {
    if (statSync(to).size > most) tooMuch.abort(bomb(statSync(from).size));
  }, 100);
  try {
    return (await raceAbort(child.exited, AbortSignal.any([signal, tooMuch.signal]))) === 0;
  } catch (err) {
    child.kill(9);
    await child.exited;
    throw err;
  } finally {
    clearInterval(watch);
  }
}

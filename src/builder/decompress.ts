import { closeSync, constants, fstatSync, openSync, statfsSync, statSync, unlinkSync } from "node:fs";
import { raceAbort } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
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
      const good = await run(processes, { ...job, most, stdio: [from, to, "ignore"] });
      if (!good && isFull(job.to)) throw new EngineError("unavailable", `${job.format} -dc: no space left on device`);
      return good;
    } catch (err) {
      unlinkSync(job.to);
      throw err;
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(from);
  }
}

/** xz -9 writes dictionaries of 64 MiB; a file's header may ask for 4 GiB of memory. */
const options = { xz: ["-dc", "--memlimit-decompress=512MiB"], bzip2: ["-dc"] } as const;

/** The program's status does not say whether it failed for that. */
function isFull(path: string): boolean {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize < 64 * 1024;
}

interface Run extends Decompression {
  /** Bytes that may come of it. */
  readonly most: number;
  readonly stdio: readonly (number | "ignore")[];
}

async function run(processes: Processes, { format, from, to, most, stdio, signal }: Run): Promise<boolean> {
  const child = processes.spawn([format, ...options[format]], { stdio });
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

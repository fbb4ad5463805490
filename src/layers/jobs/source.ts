import { closeSync, openSync, readSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import type { JobContext } from "../../host/mod.ts";
import type { Bytes } from "../../stream/mod.ts";

export interface BlobSource {
  readonly path: string;
  /** As in {@link import("../layers.ts").GrowingFile}; without it the file is complete. */
  readonly growing?: SharedArrayBuffer;
}

const chunk = 256 * 1024;

/** A blob's bytes, following it while it grows. Blocks the thread. Throws "not-found" when there is no such file, "unavailable" when its writer has given up. */
export async function* readBlob({ path, growing }: BlobSource, context: JobContext): Bytes {
  const fd = open(path);
  try {
    const state = growing && new Int32Array(growing);
    for (;;) {
      // Read before the file is: whoever writes counts afterwards.
      const [seen, status] = state ? [Atomics.load(state, 0), Atomics.load(state, 1)] : [0, 1];
      const buffer = Buffer.allocUnsafeSlow(chunk);
      const got = readSync(fd, buffer, 0, chunk, null);
      if (got > 0) yield buffer.subarray(0, got);
      else if (status === 2) throw new EngineError("unavailable", "The download of the layer failed");
      else if (status === 1 || !state) return;
      else Atomics.wait(state, 0, seen, 100);
      context.check();
    }
  } finally {
    closeSync(fd);
  }
}

function open(path: string): number {
  try {
    return openSync(path, "r");
  } catch (err) {
    throw new EngineError("not-found", `Cannot open the layer's file ${path}`, { cause: err });
  }
}

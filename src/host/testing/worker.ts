/** Worker entry of this module's tests. */
import { readdirSync } from "node:fs";
import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { EngineError } from "../../errors/mod.ts";
import { confined } from "../confined.ts";
import { fed } from "../feed-job.ts";
import { serveJobs } from "../serve-jobs.ts";
import { FlowWriter } from "../stream-job.ts";
import { testJobs as jobs } from "./jobs.ts";

serveJobs([
  { ...jobs.add, run: ({ a, b }: { a: number; b: number }) => a + b },
  {
    ...jobs.fail,
    run: ({ kind, message }: Parameters<typeof jobs.fail.run>[0]) => {
      throw new EngineError(kind, message);
    },
  },
  {
    ...jobs.spin,
    run: (_input: null, context) => {
      context.report("spinning");
      for (;;) context.check();
    },
  },
  { ...jobs.exit, run: () => process.exit(3) },
  { ...jobs.list, run: (root: string) => [confined(root, () => readdirSync("/../..")), readdirSync("/")] },
  {
    ...jobs.confinedHold,
    run: async ({ root, state }: Parameters<typeof jobs.confinedHold.run>[0]) => {
      confined(root, () => undefined);
      await Promise.all(Array.from({ length: 64 }, () => promisify(deflate)(new Uint8Array(1 << 16))));
      confined(root, () => {
        Atomics.store(state, 0, 1);
        Atomics.notify(state, 0);
        Atomics.wait(state, 0, 1);
      });
    },
  },
  {
    ...jobs.stream,
    run: (input: Parameters<typeof jobs.stream.run>[0], context) => {
      const writer = new FlowWriter(input, context);
      for (let nr = 0; nr < input.pieces; nr++) writer.write(Buffer.alloc(input.size, nr));
      if (input.fail) throw new EngineError("invalid", "half way");
      writer.flush();
      return "done";
    },
  },
  {
    ...jobs.sum,
    run: (input: Parameters<typeof jobs.sum.run>[0], context) => {
      let [size, sum] = [0, 0];
      for (const piece of fed(input, context)) {
        size += piece.length;
        sum += piece.reduce((total, byte) => total + byte, 0);
        if (input.failAfter >= 0 && size > input.failAfter) throw new EngineError("invalid", "enough");
      }
      return { size, sum };
    },
  },
  { ...jobs.hold, run: (state: Int32Array) => void Atomics.wait(state, 0, 0) },
]);

/** Names and types of the jobs in worker.ts beside this, for the thread that asks for them. */
import type { ErrorKind } from "../../errors/mod.ts";
import type { Feed } from "../feed-job.ts";
import type { Job } from "../host.ts";
import type { Flow } from "../stream-job.ts";

function only<I, O>(name: string): Job<I, O> {
  return {
    name,
    run: () => {
      throw new Error(`${name} runs in a worker`);
    },
  };
}

export const testJobs = {
  add: only<{ a: number; b: number }, number>("test.add"),
  fail: only<{ kind: ErrorKind; message: string }, never>("test.fail"),
  spin: only<null, never>("test.spin"),
  exit: only<null, never>("test.exit"),
  list: only<string, string[][]>("test.list"),
  confinedHold: only<{ root: string; state: Int32Array }, void>("test.confined-hold"),
  stream: only<{ pieces: number; size: number; fail: boolean } & Flow, string>("test.stream"),
  sum: only<{ failAfter: number } & Feed, { size: number; sum: number }>("test.sum"),
  hold: only<Int32Array, void>("test.hold"),
};

import { EngineError, type ErrorKind, kindOf, messageOf } from "../errors/mod.ts";
import type { Job, JobContext } from "./host.ts";
import { libc } from "./libc.ts";

/** What crosses to a worker thread. */
export interface ToWorker {
  readonly job: string;
  readonly input: unknown;
  /** Of the thread from now on (nice(2)); it is never raised again. */
  readonly niceness: number;
  /** Shared; [0] becomes 1 when the caller aborts. */
  readonly flag: Int32Array;
}

export type FromWorker =
  | { readonly kind: "report"; readonly message: unknown }
  | { readonly kind: "done"; readonly output: unknown }
  | {
      readonly kind: "failed";
      readonly error: { readonly kind: ErrorKind; readonly message: string; readonly stack?: string };
    };

/** Jobs of any input and output: the pool checks neither, `Workers.run` is what ties them together. */
export type AnyJob = { readonly name: string; run(input: never, context: JobContext): unknown };

/** Makes this thread a worker that runs these jobs; called once by a worker's entry module. */
export function serveJobs(jobs: readonly AnyJob[]): void {
  const byName = new Map(jobs.map((job) => [job.name, job as Job<unknown, unknown>]));
  const send = (message: FromWorker) => postMessage(message);
  addEventListener("message", (event: MessageEvent<ToWorker>) => void runJob(event.data, { byName, send }));
}

interface Serving {
  readonly byName: ReadonlyMap<string, Job<unknown, unknown>>;
  send(message: FromWorker): void;
}

async function runJob(message: ToWorker, { byName, send }: Serving): Promise<void> {
  try {
    // For Linux PRIO_PROCESS with 0 means the calling thread (setpriority(2), NOTES: nice values are per thread).
    if (message.niceness > 0) libc.setpriority(0, 0, message.niceness);
    const job = byName.get(message.job);
    if (!job) throw new EngineError("internal", `No job named ${message.job} in src/worker.ts`);
    const output = await job.run(message.input, contextOf(message.flag, send));
    send({ kind: "done", output });
  } catch (err) {
    send({ kind: "failed", error: { kind: kindOf(err), message: messageOf(err), ...stackOf(err) } });
  }
}

function contextOf(flag: Int32Array, send: Serving["send"]): JobContext {
  return {
    check: () => {
      if (Atomics.load(flag, 0) !== 0) throw new DOMException("The job was aborted", "AbortError");
    },
    report: (message) => send({ kind: "report", message }),
  };
}

function stackOf(err: unknown): { stack?: string } {
  return err instanceof Error && err.stack !== undefined ? { stack: err.stack } : {};
}

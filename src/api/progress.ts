import { Queue } from "../async/mod.ts";
import { messageOf } from "../errors/mod.ts";
import type { HttpRequest, Reply } from "../http/mod.ts";
import type { BuildStepEvent, ProgressMessage, ProgressSink } from "../wire/mod.ts";
import { jsonLine } from "./reply.ts";

export interface ProgressOptions {
  /** `load` answers 200 whatever comes, and tells errors in the stream only. */
  readonly headersAtOnce?: boolean;
}

/**
 * An operation whose answer is its progress, a JSON line a message. What fails before the first line is an HTTP error;
 * afterwards the stream's last line says so, as docker's clients expect. The operation is aborted by `request.signal`.
 */
export async function progressReply(
  request: HttpRequest,
  run: (progress: ProgressSink) => Promise<void>,
  options: ProgressOptions = {},
): Promise<Reply> {
  const queue = new ProgressQueue();
  const { promise: firstLine, resolve: saidSomething } = Promise.withResolvers<void>();
  let told = false;
  const running = run((message) => {
    told = message.error !== undefined;
    queue.push(message);
    saidSomething();
  });
  const closed = running.then(
    () => queue.close(),
    (err) => {
      if (!told && !request.signal.aborted) queue.push(failure(err));
      queue.close();
    },
  );
  if (!options.headersAtOnce) await Promise.race([firstLine, running]);
  return { kind: "stream", status: 200, type: "application/json", bytes: lines(queue, closed) };
}

async function* lines(queue: ProgressQueue, closed: Promise<void>): AsyncGenerator<Uint8Array> {
  yield* queue.lines();
  await closed;
}

/** Bytes that wait for a client that does not read: a build step that says much must not fill the daemon's memory. */
const mostWaiting = 16 * 1024 * 1024;
const clipped = { stream: "[output clipped: it came faster than it was read]\n" };

/** Lines on their way. Who sends them cannot wait, so beyond {@link mostWaiting} all are dropped but results, errors and what steps end with. */
export class ProgressQueue {
  readonly #queue = new Queue<Uint8Array>();
  #waiting = 0;
  #clipping = false;

  push(message: ProgressMessage): void {
    const matters = message.error !== undefined || (message.aux !== undefined && !isOutput(message.aux));
    const full = this.#waiting > mostWaiting;
    if (!full || matters) this.#add(message);
    else if (!this.#clipping) this.#add(clipped);
    this.#clipping = full;
  }

  close(): void {
    this.#queue.close();
  }

  async *lines(): AsyncGenerator<Uint8Array> {
    for await (const line of this.#queue) {
      this.#waiting -= line.length;
      yield line;
    }
  }

  #add(message: ProgressMessage): void {
    const line = jsonLine(message);
    this.#waiting += line.length;
    this.#queue.push(line);
  }
}

function isOutput(aux: unknown): boolean {
  const { Step } = (aux ?? {}) as Partial<Extract<BuildStepEvent, { Step: unknown }>>;
  return Step?.Event === "output";
}

function failure(err: unknown): ProgressMessage {
  const message = messageOf(err);
  return { errorDetail: { message }, error: message };
}

import { Queue } from "../async/mod.ts";
import { messageOf } from "../errors/mod.ts";
import type { HttpRequest, Reply } from "../http/mod.ts";
import type { ProgressMessage, ProgressSink } from "../wire/mod.ts";
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
  const queue = new Queue<ProgressMessage>();
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

async function* lines(queue: Queue<ProgressMessage>, closed: Promise<void>): AsyncGenerator<Uint8Array> {
  for await (const message of queue) yield jsonLine(message);
  await closed;
}

function failure(err: unknown): ProgressMessage {
  const message = messageOf(err);
  return { errorDetail: { message }, error: message };
}

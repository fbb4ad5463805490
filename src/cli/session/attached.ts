import type { Client } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { WaitAnswer } from "../../wire/mod.ts";
import type { CliIo } from "../io.ts";
import { runStreams } from "./streams.ts";
import { followSize, proxySignals } from "./terminal.ts";

export interface Attachment {
  readonly id: string;
  readonly tty: boolean;
  readonly streams: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  readonly keys: string;
  readonly sigProxy: boolean;
  /** What counts as the end: `removed` for a container that removes itself. */
  readonly until: "removed" | "next-exit" | "not-running";
  /** Starts it, for one that does not run yet. */
  readonly begin?: () => Promise<unknown>;
}

/**
 * A container in the foreground: `run`, `start -a` and `attach`. Attached and waiting before it starts, so that neither
 * the first byte nor the exit can be missed. Returns its exit status; 0 when the user detaches.
 */
export async function runAttached(
  request: Attachment,
  { io, client }: { readonly io: CliIo; readonly client: Client },
): Promise<number> {
  const { id, tty, streams, keys } = request;
  const path = `/containers/${id}`;
  const abort = new AbortController();
  const { signal } = abort;
  const query = { stream: true, ...streams, detachKeys: keys };
  const attached = await client.hijack({ method: "POST", path: `${path}/attach`, query });
  const wait = { method: "POST", path: `${path}/wait`, query: { condition: request.until }, signal } as const;
  // The answer's head comes when the engine has begun to wait: only then may the container start.
  const exit = readAnswer((await client.stream(wait)).bytes);
  exit.catch(() => undefined); // looked at once the stream has ended; a start that fails comes first
  const started = Promise.withResolvers<void>();
  const giveUp = () => {
    abort.abort();
    attached.close();
  };
  const stopProxy = request.sigProxy
    ? proxySignals(io, client, { id, started: started.promise, giveUp })
    : () => undefined;
  let stopSize = (): void => undefined;
  try {
    await request.begin?.();
    started.resolve();
    if (tty && io.stdout.isTTY) stopSize = followSize(io, client, path);
    const ending = await runStreams(attached, { io, stdin: streams.stdin, tty, keys });
    return ending === "detached" ? 0 : statusOf(await exit);
  } finally {
    stopProxy();
    stopSize();
    giveUp();
  }
}

async function readAnswer(bytes: AsyncIterable<Uint8Array>): Promise<WaitAnswer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString()) as WaitAnswer;
}

function statusOf({ StatusCode, Error: failure }: WaitAnswer): number {
  if (failure) throw new EngineError("internal", `error waiting for container: ${failure.Message}`);
  return StatusCode;
}

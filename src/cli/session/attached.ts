import type { Client, HijackedStream } from "../../client/mod.ts";
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
  const abort = new AbortController();
  const started = Promise.withResolvers<void>();
  const givenUp = Promise.withResolvers<never>();
  const giveUp = () => givenUp.reject(new EngineError("canceled", "canceled"));
  const proxy = { id: request.id, started: started.promise, giveUp };
  const stopProxy = request.sigProxy ? proxySignals(io, client, proxy) : () => undefined;
  const foreground = async () => {
    const { stream, exit } = await connected(request, client, abort.signal);
    await request.begin?.();
    started.resolve();
    return (await streamed(request, stream, { io, client })) === "detached" ? 0 : statusOf(await exit);
  };
  try {
    return await Promise.race([foreground(), givenUp.promise]);
  } finally {
    stopProxy();
    abort.abort();
  }
}

interface Connected {
  readonly stream: HijackedStream;
  readonly exit: Promise<WaitAnswer>;
}

async function connected(
  { id, streams, keys, until }: Attachment,
  client: Client,
  signal: AbortSignal,
): Promise<Connected> {
  const path = `/containers/${id}`;
  const query = { stream: true, ...streams, detachKeys: keys };
  const stream = await client.hijack({ method: "POST", path: `${path}/attach`, query });
  signal.addEventListener("abort", () => stream.close());
  // The answer's head comes when the engine has begun to wait: only then may the container start.
  const wait = { method: "POST", path: `${path}/wait`, query: { condition: until }, signal } as const;
  const exit = readAnswer((await client.stream(wait)).bytes);
  exit.catch(() => undefined); // looked at once the stream has ended; a start that fails comes first
  return { stream, exit };
}

async function streamed(
  { id, tty, streams, keys }: Attachment,
  stream: HijackedStream,
  { io, client }: { readonly io: CliIo; readonly client: Client },
): Promise<"ended" | "detached"> {
  const stopSize = tty && io.stdout.isTTY ? followSize(io, client, `/containers/${id}`) : () => undefined;
  return runStreams(stream, { io, stdin: streams.stdin, tty, keys }).finally(stopSize);
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

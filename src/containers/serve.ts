import type { HijackedSocket } from "../http/mod.ts";
import { DetachFilter, frame } from "../stream/mod.ts";
import type { Chunk, Hub, Reader } from "./hub.ts";

export interface ServeRequest {
  readonly hub: Hub;
  readonly reader: Reader;
  readonly socket: HijackedSocket;
  readonly tty: boolean;
  /** The output goes without Docker's frames. Default: with a terminal. */
  readonly raw?: boolean;
  readonly stdin: boolean;
  /** The client's end of input is the process's, too (StdinOnce; an exec). */
  readonly closeStdin: boolean;
  readonly detachKeys: Uint8Array;
}

/**
 * Serves one hijacked connection until the process has ended and everything is sent, or the client has left or detached.
 * "detached" when it was the detach keys that ended it. The process lives on in any case.
 */
export async function serve(request: ServeRequest): Promise<"ended" | "detached"> {
  const { reader, socket } = request;
  const gone = () => reader.leave();
  socket.signal.addEventListener("abort", gone, { once: true });
  if (socket.signal.aborted) gone();
  let outcome: "ended" | "detached" = "ended";
  void readInput(request).then((how) => {
    if (how !== "detached") return;
    outcome = how;
    reader.leave();
  });
  try {
    await sendOutput(request);
  } finally {
    socket.signal.removeEventListener("abort", gone);
    reader.leave();
  }
  return outcome;
}

async function sendOutput({ reader, socket, tty, raw = tty }: ServeRequest): Promise<void> {
  for (;;) {
    const batch = await reader.take();
    if (!batch) return;
    try {
      await socket.write(encode(batch, raw));
    } catch {
      return; // the client is gone, which its signal says, too
    }
  }
}

/** One frame per write of the process, one write to the socket for all that is there. */
export function encode(batch: readonly Chunk[], raw: boolean): Uint8Array {
  const [only] = batch;
  if (raw) return only && batch.length === 1 ? only.bytes : Buffer.concat(batch.map((chunk) => chunk.bytes));
  return Buffer.concat(batch.map((chunk) => frame(chunk.stream, chunk.bytes)));
}

async function readInput(request: ServeRequest): Promise<"ended" | "detached"> {
  const { hub, socket, stdin, tty } = request;
  const filter = tty ? new DetachFilter(request.detachKeys) : undefined;
  try {
    for await (const input of socket.input) {
      if (!stdin) continue; // reading on is what notices a client that leaves
      const { pass, detached } = filter?.feed(input) ?? { pass: input, detached: false };
      if (pass.length > 0) await hub.write(pass);
      if (detached) return "detached";
    }
    if (stdin && request.closeStdin && !tty) await hub.closeStdin();
  } catch {
    // The process has closed its end, or the client broke off: the output side notices what matters.
  }
  return "ended";
}

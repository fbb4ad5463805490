import { connect, type Socket } from "node:net";
import { Queue } from "../../async/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import { AgentFilter, refusal } from "./agent-filter.ts";

/** One connection to the agent of a socket: requests in, answers out. Who asks waits for each answer, so their order is theirs. */
export async function* agentConnection(path: string, requests: Bytes): Bytes & AsyncGenerator<Uint8Array> {
  const answers = new Queue<Uint8Array>();
  const socket = connect({ path });
  socket.on("data", (bytes: Uint8Array) => answers.push(bytes));
  socket.on("error", (err) => answers.close(err));
  socket.on("close", () => answers.close());
  void pass(requests, { socket, answers }).catch((err: unknown) => answers.close(err));
  try {
    yield* answers;
  } finally {
    socket.destroy();
  }
}

async function pass(
  requests: Bytes,
  { socket, answers }: { socket: Socket; answers: Queue<Uint8Array> },
): Promise<void> {
  const filter = new AgentFilter();
  for await (const bytes of requests) {
    const { forward, refused } = filter.push(bytes);
    for (const message of forward) socket.write(message);
    for (let left = refused; left > 0; left--) answers.push(refusal);
  }
  socket.end();
}

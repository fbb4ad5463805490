import { join } from "node:path";
import { isKind } from "../errors/mod.ts";
import type { Host, PacketSocket } from "../host/mod.ts";
import type { TaskStreams } from "./runtime.ts";

/** conmon 2.1 reads this much of a packet and drops the rest. */
const mostPerPacket = 32_768;
const streamNames = new Map([
  [2, "stdout"],
  [3, "stderr"],
] as const);

/** A connection to conmon's attach socket; undefined when the task has ended. */
export async function openStreams(host: Pick<Host, "processes">, directory: string): Promise<TaskStreams | undefined> {
  try {
    return streamsOf(await host.processes.connectSeqpacket(join(directory, "attach")));
  } catch (err) {
    if (isKind(err, "not-found")) return undefined;
    throw err;
  }
}

function streamsOf(socket: PacketSocket): TaskStreams {
  return {
    output: output(socket),
    async write(bytes) {
      for (let at = 0; at < bytes.length; at += mostPerPacket) {
        await socket.write(bytes.subarray(at, at + mostPerPacket));
      }
    },
    closeStdin: () => socket.end(),
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}

/** A packet's first byte names its stream. */
async function* output(
  socket: PacketSocket,
): TaskStreams["output"] extends AsyncIterable<infer T> ? AsyncGenerator<T> : never {
  for await (const packet of socket.packets) {
    const stream = streamNames.get((packet[0] ?? 0) as 2 | 3);
    if (stream && packet.length > 1) yield { stream, bytes: packet.subarray(1) };
  }
}

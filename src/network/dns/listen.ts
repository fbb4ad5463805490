import { insideNamespace } from "../../host/mod.ts";
import { messages, withLength } from "./stream.ts";

/** Gives the message to send back, or undefined for none; `from` is the address that asks. */
export type Answerer = (
  query: Uint8Array,
  at: { readonly from: string; readonly stream: boolean },
) => Promise<Uint8Array | undefined>;

const port = 53;
/** What a client may send by TCP before a whole query is there, in bytes. */
const longestQuery = 64 * 1024;
/** Connections at once, and how long one may say nothing, in seconds. */
const connectionsMost = 512;
const idle = 10;
const sendTries = 8;

/** Listens on every address of the namespace, by UDP and TCP. Throws when the port is taken or there is no such namespace. */
export async function listen(namespace: string, answerer: Answerer): Promise<Disposable> {
  // Both calls bind before they return, which is what has to happen inside.
  const [opening, server] = insideNamespace(namespace, () => [openDatagrams(answerer), openStreams(answerer)] as const);
  const socket = await opening;
  return {
    [Symbol.dispose]() {
      socket.close();
      server.stop(true);
    },
  };
}

function openDatagrams(answerer: Answerer) {
  return Bun.udpSocket({
    hostname: "0.0.0.0",
    port,
    socket: {
      data: async (socket, bytes, fromPort, from) => {
        const answer = await answerer(bytes, { from, stream: false });
        if (answer) sendTo(socket, answer, { port: fromPort, address: from });
      },
      error: () => undefined, // who asked has left before the answer came
    },
  });
}

/**
 * Linux reports at the next send that somebody else has left before the answer to them came (IP_RECVERR, ip(7)). That send did
 * nothing, so it is done again. An answer that cannot be sent is lost, as a datagram may be: who asked asks again.
 */
function sendTo(
  socket: Bun.udp.Socket<"buffer">,
  answer: Uint8Array,
  { port, address }: { readonly port: number; readonly address: string },
): void {
  for (let tries = 0; tries < sendTries; tries++) {
    try {
      return void socket.send(answer, port, address);
    } catch (err) {
      if (!(err instanceof Error && "syscall" in err)) throw err;
    }
  }
}

interface Connection {
  received: Buffer;
}

function openStreams(answerer: Answerer) {
  let open = 0;
  return Bun.listen<Connection>({
    hostname: "0.0.0.0",
    port,
    socket: {
      open(socket) {
        socket.data = { received: Buffer.alloc(0) };
        socket.timeout(idle);
        if (++open > connectionsMost) socket.terminate();
      },
      async data(socket, bytes) {
        const { queries, rest } = messages(Buffer.concat([socket.data.received, bytes]));
        socket.data.received = rest;
        if (rest.length > longestQuery) return void socket.terminate();
        for (const query of queries) {
          const answer = await answerer(query, { from: socket.remoteAddress, stream: true });
          if (answer) socket.write(withLength(answer));
          else socket.end();
        }
      },
      timeout: (socket) => void socket.terminate(),
      close: () => void open--,
      error: (socket) => void socket.terminate(),
    },
  });
}

import { insideNamespace, widenReceiveBuffer } from "../../host/mod.ts";
import { type Answerer, port } from "./answerer.ts";
import { connections } from "./connections.ts";

const sendTries = 8;
/**
 * What waits in the kernel while this thread gets no core, in bytes. A question costs some 800 of them, so this is two
 * seconds of 5,000 a second; of the usual 208 KiB a busy machine loses some after 50 ms.
 */
const waitingMost = 8 << 20;

/** Listens on every address of the namespace, by UDP and TCP. Throws when the port is taken or there is no such namespace. */
export async function listen(namespace: string, answerer: Answerer): Promise<Disposable> {
  // Both calls bind before they return, which is what has to happen inside.
  const [opening, server] = insideNamespace(namespace, () => [openDatagrams(answerer), connections(answerer)] as const);
  const socket = await opening;
  widenReceiveBuffer(socket, waitingMost);
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
      data: (socket, bytes, fromPort, from) => {
        const to = { port: fromPort, address: from };
        const answer = answerer(bytes, { from, stream: false });
        if (answer instanceof Promise) answer.then((late) => late && sendTo(socket, late, to));
        else if (answer) sendTo(socket, answer, to);
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
  if (socket.closed) return;
  for (let tries = 0; tries < sendTries; tries++) {
    try {
      return void socket.send(answer, port, address);
    } catch (err) {
      if (!(err instanceof Error && "syscall" in err)) throw err;
    }
  }
}

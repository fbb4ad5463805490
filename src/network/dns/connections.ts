import { type Answerer, port } from "./answerer.ts";
import { messages, withLength } from "./stream.ts";

/** What a client may send by TCP before a whole query is there, and what may wait for it to be taken, in bytes. */
const longestQuery = 64 * 1024;
const backlogMost = 1 << 20;
/** Queries of one connection that are being answered. */
const underWayMost = 64;
/** Connections at once, of all and of one address, and how long one may say nothing, in seconds. */
const most = { together: 1024, each: 64 } as const;
const idle = 10;

interface Connection {
  received: Buffer;
  /** What the client has not taken yet of its answers. */
  backlog: Buffer;
  underWay: number;
  readonly from: string;
}

type Client = Bun.Socket<Connection>;

/** Answers by TCP (RFC 7766): several queries on one connection, each answered when its answer is there. */
export function connections(answerer: Answerer) {
  const open = new Map<string, number>();
  let together = 0;
  const count = (from: string, change: 1 | -1) => {
    together += change;
    const own = (open.get(from) ?? 0) + change;
    if (own === 0) open.delete(from);
    else open.set(from, own);
    return own;
  };
  return Bun.listen<Connection>({
    hostname: "0.0.0.0",
    port,
    socket: {
      open(socket) {
        const from = socket.remoteAddress;
        socket.data = { received: Buffer.alloc(0), backlog: Buffer.alloc(0), underWay: 0, from };
        socket.timeout(idle);
        if (count(from, 1) > most.each || together > most.together) socket.terminate();
      },
      data: (socket, bytes) => hear(socket, bytes, answerer),
      drain: (socket) => flush(socket),
      timeout: (socket) => void socket.terminate(),
      close: (socket) => void count(socket.data.from, -1),
      error: (socket) => void socket.terminate(),
    },
  });
}

function hear(socket: Client, bytes: Uint8Array, answerer: Answerer): void {
  const { queries, rest } = messages(Buffer.concat([socket.data.received, bytes]));
  socket.data.received = Buffer.from(rest); // a copy, so that what was answered can go
  if (rest.length > longestQuery) return void socket.terminate();
  for (const query of queries) {
    if (++socket.data.underWay > underWayMost) return void socket.terminate();
    Promise.resolve(answerer(query, { from: socket.data.from, stream: true })).then((answer) => {
      socket.data.underWay--;
      if (answer) say(socket, withLength(answer));
      else socket.end();
    });
  }
}

function say(socket: Client, message: Buffer): void {
  socket.data.backlog = Buffer.concat([socket.data.backlog, message]);
  if (socket.data.backlog.length > backlogMost) return void socket.terminate();
  flush(socket);
}

function flush(socket: Client): void {
  const { backlog } = socket.data;
  if (backlog.length === 0) return;
  const taken = Math.max(0, socket.write(backlog));
  socket.data.backlog = backlog.subarray(taken);
}

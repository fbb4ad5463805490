import { messages, withLength } from "./stream.ts";

/** One question to one other resolver. */
export interface Errand {
  /** An IPv4 or IPv6 address, the latter with its zone where it needs one. */
  readonly server: string;
  readonly port: number;
  /** A query that was parsed. */
  readonly query: Uint8Array;
  /** Milliseconds. */
  readonly patience: number;
}

const largest = 65_535;

/**
 * The answer as it came, under the query's own id; undefined when none came in time. The socket is of this question alone,
 * so that its port cannot be guessed (RFC 5452, 9.2), and connected, so that the kernel hands out nobody else's datagrams.
 */
export async function askByDatagram({ server, port, query, patience }: Errand): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const id = Math.floor(Math.random() * 65_536);
  const socket = await Bun.udpSocket({
    hostname: server.includes(":") ? "::" : "0.0.0.0",
    connect: { hostname: server, port },
    socket: {
      data: (_socket, bytes) => {
        if (isAnswer(bytes, { id, query })) resolve(withId(bytes, query.subarray(0, 2)));
      },
      error: () => resolve(undefined),
    },
  });
  const timer = setTimeout(() => resolve(undefined), patience);
  try {
    socket.send(withId(query, Buffer.of(id >> 8, id & 0xff)));
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.close();
  }
}

/** The same by TCP, for answers that do not fit into a datagram. */
export async function askByStream({ server, port, query, patience }: Errand): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const id = Buffer.from(query).readUInt16BE(0);
  let received = Buffer.alloc(0);
  const timer = setTimeout(() => resolve(undefined), patience);
  const connecting = Bun.connect({
    hostname: server,
    port,
    socket: {
      open: (opened) => void opened.write(withLength(query)),
      data: (_socket, bytes) => {
        received = Buffer.concat([received, bytes]);
        const message = messages(received).queries.find((one) => isAnswer(one, { id, query }));
        if (message) resolve(message);
        else if (received.length > largest + 2) resolve(undefined);
      },
      close: () => resolve(undefined),
      error: () => resolve(undefined),
      connectError: () => resolve(undefined),
    },
  });
  connecting.catch(() => resolve(undefined));
  return await promise.finally(() => {
    clearTimeout(timer);
    connecting.then((socket) => socket.terminate()).catch(() => undefined);
  });
}

/** Somebody who guesses answers has to guess the id, and the question as well; only its letters' case may have changed. */
export function isAnswer(bytes: Uint8Array, { id, query }: { id: number; query: Uint8Array }): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < 12 || view.readUInt16BE(0) !== id || !(view.readUInt8(2) & 0x80)) return false;
  const end = questionEnd(query);
  const question = (message: Uint8Array) => Buffer.from(message.subarray(12, end)).toString("latin1").toLowerCase();
  return question(view) === question(query) || view.readUInt16BE(4) === 0;
}

/** Of a query that was parsed: its one name is not compressed. */
function questionEnd(query: Uint8Array): number {
  let at = 12;
  while (query[at]) at += 1 + (query[at] ?? 0);
  return at + 5;
}

function withId(message: Uint8Array, id: Uint8Array): Buffer {
  return Buffer.concat([id, message.subarray(2)]);
}

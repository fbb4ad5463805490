import type { Connection } from "../../grpc/mod.ts";

type Pipe = TransformStream<Uint8Array, Uint8Array>;

/** Two ends of one connection in memory. */
export function connections(): [Connection, Connection] {
  const there: Pipe = new TransformStream();
  const back: Pipe = new TransformStream();
  return [end(there, back), end(back, there)];
}

function end(from: Pipe, to: Pipe): Connection {
  const writer = to.writable.getWriter();
  writer.closed.catch(() => undefined);
  return {
    input: from.readable,
    write: (bytes) => writer.write(bytes),
    close: () => void writer.close().catch(() => undefined),
  };
}

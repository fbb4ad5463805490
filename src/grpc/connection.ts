import { Duplex } from "node:stream";
import type { Bytes } from "../stream/mod.ts";

/** Bytes both ways, however they travel. */
export interface Connection {
  readonly input: Bytes;
  /** Resolves when the bytes were taken; rejects when nobody takes any more. */
  write(bytes: Uint8Array): Promise<unknown>;
  /** Leaves, whatever is still on its way. */
  close(): void;
}

/** The connection as the kind of stream that node:http2 speaks over. */
export function duplexOf(connection: Connection): Duplex {
  const bytes = connection.input[Symbol.asyncIterator]();
  const duplex = new Duplex({
    read: () => void pull(bytes, duplex),
    write: (chunk: Uint8Array, _encoding, done) => settle(connection.write(chunk), done),
    final: (done) => done(),
    destroy: (err, done) => {
      connection.close();
      done(err);
    },
  });
  return duplex;
}

async function pull(bytes: AsyncIterator<Uint8Array>, duplex: Duplex): Promise<void> {
  try {
    const next = await bytes.next();
    duplex.push(next.done ? null : next.value);
  } catch (err) {
    duplex.destroy(err instanceof Error ? err : new Error(String(err)));
  }
}

function settle(work: Promise<unknown>, done: (err?: Error | null) => void): void {
  work.then(
    () => done(),
    (err: unknown) => done(err instanceof Error ? err : new Error(String(err))),
  );
}

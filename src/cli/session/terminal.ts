import type { Client } from "../../client/mod.ts";
import type { CliIo } from "../io.ts";

/** Tells the engine the terminal's size, now and at every change, until the returned function is called. `path` is `/containers/ID` or `/exec/ID`. */
export function followSize(io: CliIo, client: Client, path: string): () => void {
  const send = () => {
    const size = sizeOf(io);
    if (!size) return;
    // A process that has ended has no size any more; the stream's end says so.
    client
      .status({ method: "POST", path: `${path}/resize`, query: { h: size.rows, w: size.columns } })
      .catch(() => undefined);
  };
  send();
  return io.onSignal("SIGWINCH", send);
}

/** The terminal's size; undefined where output is not a terminal. */
export function sizeOf(io: CliIo): { readonly rows: number; readonly columns: number } | undefined {
  const { rows, columns } = io.stdout;
  return rows && columns ? { rows, columns } : undefined;
}

const proxied = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** Hands signals that this program gets to the container, until the returned function is called. */
export function proxySignals(io: CliIo, client: Client, id: string): () => void {
  const stops = proxied.map((signal) =>
    io.onSignal(signal, () => {
      client.status({ method: "POST", path: `/containers/${id}/kill`, query: { signal } }).catch(() => undefined);
    }),
  );
  return () => {
    for (const stop of stops) stop();
  };
}

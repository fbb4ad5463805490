import type { Client } from "../../client/mod.ts";
import { type CliIo, tell } from "../io.ts";

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

const proxied = [
  ...["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"],
  ...["SIGALRM", "SIGCONT", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGIO", "SIGPWR"],
] as readonly NodeJS.Signals[];

export interface ProxyOptions {
  readonly id: string;
  /** Signals that come earlier are kept until then, so that none is lost on a container that is being started. */
  readonly started: Promise<unknown>;
  /** Called for the third SIGINT or SIGTERM: the way out when neither container nor engine reacts (docker has the same). */
  giveUp(): void;
}

/** Hands signals that this program gets to the container, until the returned function is called. */
export function proxySignals(io: CliIo, client: Client, { id, started, giveUp }: ProxyOptions): () => void {
  let asked = 0;
  const stops = proxied.map((signal) =>
    io.onSignal(signal, () => {
      if ((signal === "SIGINT" || signal === "SIGTERM") && ++asked === 3) {
        tell(io, "\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n").then(giveUp, giveUp);
        return;
      }
      const send = () => client.status({ method: "POST", path: `/containers/${id}/kill`, query: { signal } });
      started.then(send).catch(() => undefined); // it may have ended by itself
    }),
  );
  return () => {
    for (const stop of stops) stop();
  };
}

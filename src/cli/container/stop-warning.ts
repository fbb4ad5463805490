import { after } from "../../async/mod.ts";
import type { Client } from "../../client/mod.ts";
import type { ContainerInspect, EventMessage } from "../../wire/mod.ts";
import { type CliIo, tell } from "../io.ts";
import { containerPath } from "./path.ts";

/** A stop that takes longer than this, in milliseconds, is worth a question. */
const patience = 1000;
/** Docker's, in seconds. */
const defaultTimeout = 10;

export interface Stopping {
  readonly name: string;
  /** Seconds, where the user gave them. */
  readonly timeout: number | undefined;
}

/** Runs `stop`; when that takes a while, says why the container does not end, if the engine knows (its `kill` event tells). */
export async function withStopWarning(
  stopping: Stopping,
  { io, client }: { readonly io: CliIo; readonly client: Client },
  stop: () => Promise<unknown>,
): Promise<void> {
  const since = Math.floor(Date.now() / 1000) - 1;
  const done = new AbortController();
  const warned = after(patience, done.signal)
    .then(() => warn(stopping, { io, client, since }))
    .catch(() => undefined); // it has stopped, or the engine has no such event: there is nothing to say
  try {
    await stop();
  } finally {
    done.abort();
    await warned;
  }
}

async function warn(
  { name, timeout }: Stopping,
  { io, client, since }: { io: CliIo; client: Client; since: number },
): Promise<void> {
  const { Id, Config } = await client.json<ContainerInspect>({ method: "GET", path: containerPath(name, "/json") });
  const filters = JSON.stringify({ type: ["container"], container: [Id], event: ["kill"] });
  const query = { since, until: Math.floor(Date.now() / 1000) + 1, filters };
  for await (const { Actor } of client.lines<EventMessage>({ method: "GET", path: "/events", query })) {
    const why = Actor.Attributes["dev.berth.ignored"];
    if (why === undefined) continue;
    const seconds = timeout ?? Config.StopTimeout ?? defaultTimeout;
    const then = seconds < 0 ? "this waits until it ends by itself" : `it is killed after ${seconds} s`;
    await tell(io, `WARNING: ${name}: ${why}; ${then}. Run it with --init, or with a --stop-signal that it handles.\n`);
    return;
  }
}

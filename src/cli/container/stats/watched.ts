import type { Client } from "../../../client/mod.ts";
import { isKind } from "../../../errors/mod.ts";
import type { ContainerStats, ContainerSummary, EventMessage } from "../../../wire/mod.ts";
import { containerPath } from "../path.ts";
import type { Measured } from "./figures.ts";

interface Entry {
  readonly stop: AbortController;
  latest?: ContainerStats;
}

/** The containers that are watched, each with a stream of its own, and what was last heard of them. */
export class Watched {
  readonly #client: Client;
  readonly #entries = new Map<string, Entry>();
  #failure: unknown;

  constructor(client: Client) {
    this.#client = client;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** In the order in which they were added; those of which nothing has been heard yet are left out. */
  measured(): Measured[] {
    return [...this.#entries].flatMap(([container, { latest }]) => (latest ? [{ container, stats: latest }] : []));
  }

  /** Throws what has broken a stream. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves with the first sample, or when there will be none. Throws "not-found" for a container that is not there. */
  add(container: string): Promise<void> {
    if (this.#entries.has(container)) return Promise.resolve();
    const entry: Entry = { stop: new AbortController() };
    this.#entries.set(container, entry);
    const first = Promise.withResolvers<void>();
    const reading = this.#read(container, { entry, heard: first.resolve });
    reading.then(first.resolve, (err) => {
      if (isKind(err, "canceled")) return first.resolve();
      first.reject(err);
      if (!isKind(err, "not-found")) this.fail(err);
    });
    return first.promise;
  }

  /** What {@link check} throws from now on. */
  fail(err: unknown): void {
    if (!isKind(err, "canceled")) this.#failure ??= err;
  }

  remove(container: string): void {
    this.#entries.get(container)?.stop.abort();
    this.#entries.delete(container);
  }

  stop(): void {
    for (const container of [...this.#entries.keys()]) this.remove(container);
  }

  async #read(container: string, { entry, heard }: { entry: Entry; heard: () => void }): Promise<void> {
    try {
      const request = { method: "GET", path: containerPath(container, "/stats"), signal: entry.stop.signal } as const;
      for await (const stats of this.#client.lines<ContainerStats>(request)) {
        entry.latest = stats;
        heard();
      }
    } finally {
      if (this.#entries.get(container) === entry) this.#entries.delete(container);
    }
  }
}

/** The ids of containers to watch where the user names none. */
export async function listed(client: Client, all: boolean): Promise<string[]> {
  const rows = await client.json<ContainerSummary[]>({ method: "GET", path: "/containers/json", query: { all } });
  return rows.map(({ Id }) => Id);
}

/** Adds containers as they come and removes those that go, until the signal aborts. */
export async function keepUp(
  watched: Watched,
  { client, all, signal }: { readonly client: Client; readonly all: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const filters = JSON.stringify({ type: ["container"], event: ["create", "start", "die", "destroy"] });
  const events = client.lines<EventMessage>({ method: "GET", path: "/events", query: { filters }, signal });
  for await (const { Action, Actor } of events) {
    if (Action === "start" || (all && Action === "create")) watched.add(Actor.ID).catch(() => undefined);
    if (Action === "destroy" || (!all && Action === "die")) watched.remove(Actor.ID);
  }
}

import type { Workers } from "../../host/mod.ts";
import { type Change, type News, type ServeInput, serveNames } from "./serve.ts";

/** The main thread's end of the resolver's thread. */
export interface NameServer {
  /** Resolves when it is so, or when there is no resolver any more. */
  tell(change: Change): Promise<void>;
  close(): Promise<void>;
  /** Rejects when the thread has ended without being told to. */
  readonly died: Promise<void>;
}

/** Runs the resolver; it can be asked when this resolves. */
export async function startServer(threads: Workers, input: ServeInput): Promise<NameServer> {
  const heard = new Map<number, () => void>();
  const { promise: listening, resolve, reject } = Promise.withResolvers<void>();
  heard.set(0, resolve);
  const onReport = (number: unknown) => {
    heard.get(number as number)?.();
    heard.delete(number as number);
  };
  const channel = new BroadcastChannel(input.channel);
  const died = threads.run(serveNames, input, { onReport }).finally(() => {
    channel.close();
    for (const resume of heard.values()) resume();
    heard.clear();
    ended = true;
  });
  let ended = false;
  died.catch(reject);
  await listening;
  let count = 0;
  const send = (number: number, what: News["what"]) => ended || channel.postMessage({ number, what } satisfies News);
  return {
    tell(change) {
      const { promise, resolve: resume } = Promise.withResolvers<void>();
      const number = ++count;
      if (ended) return Promise.resolve();
      heard.set(number, resume);
      send(number, change);
      return promise;
    },
    async close() {
      send(0, { kind: "close" });
      await died.catch(() => undefined);
    },
    died,
  };
}

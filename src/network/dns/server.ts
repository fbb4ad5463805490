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
  const listening = Promise.withResolvers<void>();
  const heard = new Map<number, () => void>();
  let ended = false;
  const onReport = (number: unknown) => {
    if (number === 0) listening.resolve();
    heard.get(number as number)?.();
    heard.delete(number as number);
  };
  const channel = new BroadcastChannel(input.channel);
  const died = threads.run(serveNames, input, { onReport }).finally(() => {
    ended = true;
    channel.close();
    for (const resume of heard.values()) resume();
  });
  died.catch(listening.reject);
  await listening.promise;
  let count = 0;
  const send = (number: number, what: News["what"]) => channel.postMessage({ number, what } satisfies News);
  return {
    async tell(change) {
      if (ended) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const number = ++count;
      heard.set(number, resolve);
      send(number, change);
      await promise;
    },
    async close() {
      if (!ended) send(0, { kind: "close" });
      await died.catch(() => undefined);
    },
    died,
  };
}

import type { Workers } from "../../host/mod.ts";

/** Threads whose resolver for names can be made to die. */
export class Mortal {
  readonly #channel: string;
  #crash: (() => void) | undefined;

  constructor(channel: string) {
    this.#channel = channel;
  }

  over(threads: Workers): Workers {
    return {
      [Symbol.asyncDispose]: () => threads[Symbol.asyncDispose](),
      run: async (job, input, options) => {
        const output = await threads.run(job, input, options);
        const crash = this.#crash;
        if (!crash) return output;
        this.#crash = undefined;
        crash();
        throw new Error("The thread was made to end");
      },
    };
  }

  /** Resolves when it has died. */
  async crash(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#crash = resolve;
    const channel = new BroadcastChannel(this.#channel);
    channel.postMessage({ number: 0, what: { kind: "close" } });
    await promise;
    channel.close();
  }
}

import { EngineError } from "../errors/mod.ts";
import type { Reply } from "../http/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import { Rendezvous } from "./rendezvous.ts";

interface Upload {
  readonly bytes: Bytes;
  readonly taken: PromiseWithResolvers<void>;
}

/** What `POST /build?version=2` has under way, by the ids that its clients chose: builds, and contexts that are uploaded apart. */
export class Builds {
  readonly #running = new Map<string, AbortController>();
  readonly #uploads = new Rendezvous<Upload>();

  /** Runs a build that can be cancelled by its id. */
  async run<T>(id: string | undefined, signal: AbortSignal, body: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (id === undefined) return body(signal);
    const stop = new AbortController();
    this.#running.set(id, stop);
    try {
      return await body(AbortSignal.any([signal, stop.signal]));
    } finally {
      if (this.#running.get(id) === stop) this.#running.delete(id);
    }
  }

  /** No error for a build that is over. */
  cancel(id: string): Reply {
    if (id === "") throw new EngineError("invalid", "build ID not provided");
    this.#running.get(id)?.abort(new EngineError("canceled", "the build was canceled"));
    return { kind: "empty", status: 200 };
  }

  /** Keeps a request's body for the build of this id. Resolves when the build has read it; rejects when the client goes. */
  async upload(id: string, bytes: Bytes, signal: AbortSignal): Promise<void> {
    const taken = Promise.withResolvers<void>();
    const twice = () => new EngineError("conflict", `a context for build ${id} is being uploaded already`);
    using _ = this.#uploads.add(id, { bytes, taken }, twice);
    signal.addEventListener("abort", () => taken.reject(signal.reason), { once: true });
    await taken.promise;
  }

  /** The bytes that a request of the same id uploads. Throws "invalid" when none comes. */
  async *uploaded(id: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const missing = () => new EngineError("invalid", "the client has not uploaded the build context");
    const { bytes, taken } = await this.#uploads.get(id, { signal, missing });
    try {
      yield* bytes;
    } finally {
      taken.resolve();
    }
  }
}

import { EngineError } from "../errors/mod.ts";
import type { Attributes } from "./frontend-attributes.ts";
import { Rendezvous } from "./rendezvous.ts";
import type { Session } from "./session.ts";
import type { StatusFeed } from "./status.ts";

/** Milliseconds for which a build that is over can still be followed. */
const remembered = 10_000;

/** What is to be built: a frontend's attributes. */
export interface Asked {
  readonly frontend: string;
  readonly attributes: Attributes;
}

/** One build of the Control API, by the reference that its client chose. */
export interface Job {
  readonly feed: StatusFeed;
  /** Of the client that builds. */
  readonly session: Session;
  /** Whether a question about the Dockerfile was answered: then the client need build nothing. */
  answered: boolean;
  /** What clients that steer their builds themselves have asked for so far, by the number of the result. */
  readonly results: Asked[];
  /** Which of them the build is, or why it is none. undefined: the client only wanted to know whom it talks to. */
  readonly chosen: PromiseWithResolvers<Asked | undefined>;
}

export class Jobs {
  readonly #jobs = new Rendezvous<Job>();

  /** Throws "conflict" for a reference that is in use. */
  add(ref: string, job: Job): void {
    const twice = () => new EngineError("conflict", `job ID ${ref} exists`);
    const entry = this.#jobs.add(ref, job, twice);
    job.chosen.promise.catch(() => undefined); // who solves it sees it; a client may give up before anybody does
    void job.feed.closed.then(() => setTimeout(() => entry[Symbol.dispose](), remembered).unref());
  }

  has(ref: string): boolean {
    return this.#jobs.peek(ref) !== undefined;
  }

  /** Who follows a build, or steers it, may come before the build. Throws "not-found". */
  get(ref: string, signal: AbortSignal): Promise<Job> {
    return this.#jobs.get(ref, { signal, missing: () => new EngineError("not-found", `no such job ${ref}`) });
  }
}

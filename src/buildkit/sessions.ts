import { EngineError } from "../errors/mod.ts";
import { Rendezvous } from "./rendezvous.ts";
import type { Session } from "./session.ts";

/** The sessions that are open now, by the id that their clients chose. */
export class Sessions {
  readonly #open = new Rendezvous<Session>();

  /** Throws "conflict" for an id that is open already. */
  add(session: Session): Disposable {
    const { id } = session;
    return this.#open.add(id, session, () => new EngineError("conflict", `session ${id} already exists`));
  }

  /** Throws "unavailable" when no session of this id comes in time. */
  get(id: string, signal: AbortSignal): Promise<Session> {
    const missing = () => new EngineError("unavailable", `no active session for ${id}: the client has not opened it`);
    return this.#open.get(id, { signal, missing });
  }
}

import { availableParallelism } from "node:os";
import { Semaphore } from "../../async/mod.ts";
import type { Db, Tx } from "../../db/mod.ts";
import type { Health } from "./machine.ts";
import { HealthTable, type StoredHealth } from "./table.ts";

/** A check that goes on until it is told to stop. */
interface Watching {
  readonly abort: AbortController;
  /** Resolves when no process of it is left. */
  readonly done: Promise<void>;
}

/** The health of every container that has a check, and who checks it. */
export class Healths {
  /** Starting a process in a container is what a check costs: so many at once, the rest in their turn. */
  readonly starts = new Semaphore(Math.max(2, availableParallelism()));
  readonly #table: HealthTable;
  readonly #known: Map<string, StoredHealth>;
  readonly #watching = new Map<string, Watching>();
  readonly #acting = new Set<string>();

  constructor(db: Db) {
    this.#table = new HealthTable(db);
    this.#known = this.#table.all();
  }

  /** undefined for a container that has no check, or was never started. */
  of(id: string): Health | undefined {
    return this.#known.get(id)?.health;
  }

  /** What is known of the process that started then; undefined for another one. */
  ofProcess(id: string, started: string): Health | undefined {
    const known = this.#known.get(id);
    return known?.started === started ? known.health : undefined;
  }

  /** `also` runs in the transaction of the write, which there is only when the status is another one. */
  put(id: string, stored: StoredHealth, also?: (tx: Tx) => void): void {
    const before = this.#known.get(id);
    this.#known.set(id, stored);
    const same = before?.health.Status === stored.health.Status && before.started === stored.started;
    if (!same) this.#table.put(id, stored, also);
  }

  /** `run` goes on until its signal aborts; an earlier one ends. */
  watch(id: string, run: (signal: AbortSignal) => Promise<unknown>): void {
    this.#watching.get(id)?.abort.abort();
    const abort = new AbortController();
    const done = run(abort.signal).then(
      () => undefined,
      () => undefined,
    );
    this.#watching.set(id, { abort, done });
  }

  /** Resolves when no process of the check is left. */
  async unwatch(id: string): Promise<void> {
    const watching = this.#watching.get(id);
    this.#watching.delete(id);
    watching?.abort.abort();
    await watching?.done;
  }

  /** Runs `act` unless an earlier one of this container still runs. */
  async once(id: string, act: () => Promise<void>): Promise<void> {
    if (this.#acting.has(id)) return;
    this.#acting.add(id);
    try {
      await act();
    } finally {
      this.#acting.delete(id);
    }
  }

  /** The container is gone, and its row. */
  forget(id: string): void {
    this.#known.delete(id);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#watching.keys()].map((id) => this.unwatch(id)));
  }
}

import { messageOf } from "../errors/mod.ts";
import type { Log } from "../log/mod.ts";

export interface BudgetParts {
  /** In bytes; 0 for no limit. */
  readonly most: number;
  readonly log: Log;
  prune(most: number): Promise<unknown>;
}

/** Keeps the cache within its size: after builds, in the background, one time after the other. */
export class CacheBudget {
  readonly #parts: BudgetParts;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(parts: BudgetParts) {
    this.#parts = parts;
  }

  /** To be called when the cache may have grown. */
  check(): void {
    if (this.#parts.most === 0) return;
    this.#again = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    const { most, log, prune } = this.#parts;
    while (this.#again) {
      this.#again = false;
      await prune(most).catch((err) => log.warn("cannot prune the build cache", { error: messageOf(err) }));
    }
  }
}

import { likely } from "../dockerfile/suggest.ts";

/** Characters that are compared with each other for all hints of a Dockerfile: a generator gone wild misspells thousands of names. */
const most = 40_000_000;

/** Finds the names that were likely meant, until that has taken too long; from then on there are no hints. */
export class Hints {
  #left = most;

  likely(name: string, candidates: ReadonlyMap<string, unknown> | ReadonlySet<string>): string | undefined {
    this.#left -= candidates.size * name.length ** 2;
    return this.#left < 0 ? undefined : likely(name, candidates.keys());
  }
}

import { ignoreMatcher } from "../../patterns/mod.ts";
import { spend } from "../dockerfile/budget.ts";

/** No path is longer (path_resolution(7), PATH_MAX). */
const longestPath = 4096;

/** Reading more of them takes longer than anybody waits for a warning. */
const mostPatterns = 10_000;

/** What .dockerignore says of the sources of COPY and ADD, as far as that can be told without looking at the files. */
export class IgnoredSources {
  /** False with exceptions, where nobody can tell (BuildKit `validateCopySourcePath`), and with too many patterns. */
  readonly known: boolean;
  /** Whether a pattern leaves nothing. */
  readonly all: boolean;
  readonly #patterns: readonly string[];
  readonly #length: number;
  #matches: ((path: string) => boolean) | undefined;

  constructor(patterns: readonly string[]) {
    this.#patterns = patterns;
    this.#length = patterns.reduce((sum, pattern) => sum + pattern.length, 0);
    const isReadable = patterns.length > 0 && patterns.length <= mostPatterns;
    this.known = isReadable && !patterns.some((pattern) => pattern.startsWith("!"));
    this.all = patterns.some((pattern) => ["*", "**", "**/*"].includes(pattern));
  }

  /** Throws "invalid" when all such questions about a Dockerfile take too long. */
  test(path: string): boolean {
    if (path.length > longestPath) return false;
    spend(Math.ceil((this.#length * path.length) / 10));
    this.#matches ??= ignoreMatcher(this.#patterns);
    return this.#matches(path);
  }
}

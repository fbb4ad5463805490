import type { EngineError } from "../../errors/mod.ts";
import { type Lines, withLines } from "../dockerfile/error.ts";
import { failurePlace, placed, quoted } from "../failure-place.ts";

export { failurePlace };

export interface FailedAt {
  readonly text: string;
  readonly lines: Lines;
  /** Whether the message has the lines as well. */
  readonly quotes?: boolean;
}

/** What the builder throws when something is wrong with these lines of a Dockerfile. */
export function failedAt(err: EngineError, { text, lines, quotes }: FailedAt): unknown {
  const source = { name: "Dockerfile", text };
  return quotes ? quoted(withLines(err, lines), source) : placed(err, source, lines);
}

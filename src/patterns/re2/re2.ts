import { EngineError } from "../../errors/mod.ts";
import { parse } from "./parse.ts";
import { compile, run } from "./program.ts";

/** Steps of all expressions together: more is nothing that anybody looks for. */
const mostSteps = 10_000;

/**
 * Regular expressions as Go has them, and with Go's promise: matching takes time in proportion to the text, so that patterns
 * from outside can be run where nothing may block; `(a+)+$` is like any other. True for a text in which one of them matches
 * somewhere. Malformed ones match nothing. Throws "invalid" when they are too large, 10,000 steps, together.
 */
export function re2(patterns: readonly string[]): (text: string) => boolean {
  const options = patterns.flatMap((pattern) => parse(pattern) ?? []);
  const program = compile({ kind: "choice", options }, mostSteps);
  if (!program) throw new EngineError("invalid", "regular expressions are too large");
  return (text) => run(program, text);
}

import { parse } from "./parse.ts";
import { compile, run } from "./program.ts";

/** More steps than this is no name that anybody looks for. */
const mostSteps = 2000;

/**
 * A regular expression as Go has them, and with Go's promise: matching takes time in proportion to the text, so that a pattern
 * from outside can be run where nothing may block. `(a+)+$` is like any other. True for a text that it matches somewhere.
 * Undefined for a pattern that is malformed or larger than 2000 steps.
 */
export function re2(pattern: string): ((text: string) => boolean) | undefined {
  const node = parse(pattern);
  const program = node && compile(node, mostSteps);
  return program && ((text) => run(program, text));
}

import { causeOf, EngineError, kindOf, messageOf } from "../../errors/mod.ts";

/** Lines of a Dockerfile, counted from 1; `endLine` is the last one. */
export interface Lines {
  readonly line: number;
  readonly endLine: number;
}

/** The cause of an error that stands somewhere in a Dockerfile. */
class Location extends Error {
  readonly lines: Lines;

  constructor({ line, endLine }: Lines, options: ErrorOptions) {
    super(`line ${line}`, options);
    this.lines = { line, endLine };
  }
}

/** An error in a Dockerfile, with its place as BuildKit writes it. */
export function dockerfileError(lines: Lines, message: string): EngineError {
  return located("invalid", { message: `dockerfile parse error on line ${lines.line}: ${message}`, lines });
}

/** The same error with a place, unless it has one already. */
export function withLines(err: unknown, lines: Lines, message = messageOf(err)): unknown {
  return linesOf(err) ? err : located(kindOf(err), { message, lines, cause: err });
}

/** Where in the Dockerfile an error arose. */
export function linesOf(err: unknown): Lines | undefined {
  return causeOf(err, Location)?.lines;
}

interface Located {
  readonly message: string;
  readonly lines: Lines;
  readonly cause?: unknown;
}

function located(kind: EngineError["kind"], { message, lines, cause }: Located): EngineError {
  return new EngineError(kind, message, { cause: new Location(lines, { cause }) });
}

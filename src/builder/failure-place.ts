import { causeOf, EngineError, kindOf, messageOf } from "../errors/mod.ts";
import type { FailurePlace } from "./builder.ts";
import { type Lines, linesOf } from "./dockerfile/error.ts";
import { quotable, quoteLines, type Source } from "./dockerfile/quote.ts";

/** The cause of an error of which it is known where in which Dockerfile it arose. */
class Placed extends Error {
  readonly place: FailurePlace;

  constructor(place: FailurePlace, options: ErrorOptions) {
    super(`${place.name}:${place.lines.line}`, options);
    this.place = place;
  }
}

/** See `Builder.failurePlace`. */
export function failurePlace(err: unknown): FailurePlace | undefined {
  return causeOf(err, Placed)?.place;
}

/** The same error, which arose in these lines; by itself it may say where. */
export function placed(err: unknown, source: Source, lines: Lines | undefined = linesOf(err)): unknown {
  if (!lines || kindOf(err) === "canceled") return err;
  const message = messageOf(err);
  const text = (most: number) => quotable(source, lines, most);
  const cause = new Placed({ name: source.name, lines, message, text }, { cause: err });
  return new EngineError(kindOf(err), message, { cause });
}

/** The same error with the lines of the Dockerfile below its message. */
export function quoted(err: unknown, source: Source): unknown {
  const lines = linesOf(err);
  if (!lines) return err;
  const text = `${messageOf(err)}\n${quoteLines(source, lines)}`;
  return new EngineError(kindOf(err), text.trimEnd(), { cause: placed(err, source, lines) });
}

/**
 * The one error class of Berth and the kinds it can have.
 *
 * A kind is chosen once, where the failure arises; faces map kinds to HTTP statuses or exit codes in one table each.
 * Messages say what was tried and on what, and are what the user reads, so Docker's own wording is kept where
 * clients match on it.
 */
export type ErrorKind =
  | "invalid"
  | "not-found"
  | "conflict"
  | "not-modified"
  | "unauthorized"
  | "forbidden"
  | "unavailable"
  | "not-implemented"
  | "canceled"
  | "internal";

export class EngineError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EngineError";
    this.kind = kind;
  }
}

/** The kind of the outermost {@link EngineError} in the cause chain; an `AbortError` is "canceled", all else "internal". */
export function kindOf(err: unknown): ErrorKind {
  for (let at = err; at instanceof Error; at = at.cause) {
    if (at instanceof EngineError) return at.kind;
    if (at.name === "AbortError") return "canceled";
  }
  return "internal";
}

/** The first of that class in the cause chain, the error itself included. */
export function causeOf<T extends Error>(err: unknown, type: abstract new (...args: never[]) => T): T | undefined {
  for (let at = err; at instanceof Error; at = at.cause) if (at instanceof type) return at;
  return undefined;
}

/** True when {@link kindOf} the error is `kind`. */
export function isKind(err: unknown, kind: ErrorKind): boolean {
  return kindOf(err) === kind;
}

/** Adds "context: " in front of the message; keeps the kind and the cause. */
export function wrap(err: unknown, context: string): EngineError {
  return new EngineError(kindOf(err), `${context}: ${messageOf(err)}`, { cause: err });
}

/** The message of anything that can be thrown. */
export function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}

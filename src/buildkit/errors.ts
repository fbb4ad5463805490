import { type ErrorKind, kindOf } from "../errors/mod.ts";
import { Code, ConnectError, detailedError } from "../grpc/mod.ts";
import type { rpc } from "../proto/mod.ts";
import { detailedFailure, type Failed } from "./error-details.ts";

/** A build that failed is `Unknown`, as with BuildKit: clients show every other code in front of the message. */
const codes: Readonly<Record<ErrorKind, Code>> = {
  invalid: Code.Unknown,
  "not-found": Code.Unknown,
  conflict: Code.Unknown,
  "not-modified": Code.Unknown,
  unauthorized: Code.Unknown,
  forbidden: Code.Unknown,
  unavailable: Code.Unavailable,
  "not-implemented": Code.Unimplemented,
  canceled: Code.Canceled,
  internal: Code.Unknown,
};

/** The status that says it. */
export function grpcError(err: unknown, { builder, vertex }: Failed = {}): ConnectError {
  if (err instanceof ConnectError) return err;
  const place = builder?.failurePlace(err);
  const { message, details } = detailedFailure(err, { place, vertex });
  const kind = kindOf(err);
  // Of a registry that cannot be reached BuildKit gives no code either: it is the Dockerfile that names it.
  const code = place && kind === "unavailable" ? Code.Unknown : codes[kind];
  return detailedError({ message, code, details });
}

/** What a client that steers its build says that went wrong, as it says it. */
export function clientError({ code, message, details }: rpc.Status): ConnectError {
  const known = Object.values(Code).includes(code) ? code : Code.Unknown;
  return detailedError({ message: message || "the client gave the build up", code: known, details });
}

type Method = (...args: never[]) => unknown;

/** The methods of a service, with what they throw said in gRPC's way. */
export function grpcErrors<T extends Readonly<Record<string, Method>>>(methods: T, builder?: Failed["builder"]): T {
  const said = (err: unknown) => grpcError(err, { builder });
  const wrapped = Object.entries(methods).map(([name, method]) => [
    name,
    (...args: never[]) => guarded(() => method(...args), said),
  ]);
  return Object.fromEntries(wrapped) as T;
}

type Say = (err: unknown) => ConnectError;

function guarded(call: () => unknown, said: Say): unknown {
  try {
    const result = call();
    if (result instanceof Promise) return result.catch((err) => Promise.reject(said(err)));
    return isStream(result) ? translated(result, said) : result;
  } catch (err) {
    throw said(err);
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

async function* translated(stream: AsyncIterable<unknown>, said: Say): AsyncGenerator<unknown> {
  try {
    yield* stream;
  } catch (err) {
    throw said(err);
  }
}

import { type ErrorKind, kindOf, messageOf } from "../errors/mod.ts";
import { Code, ConnectError } from "../grpc/mod.ts";

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
export function grpcError(err: unknown): ConnectError {
  return err instanceof ConnectError ? err : new ConnectError(messageOf(err), codes[kindOf(err)]);
}

type Method = (...args: never[]) => unknown;

/** The methods of a service, with what they throw said in gRPC's way. */
export function grpcErrors<T extends Readonly<Record<string, Method>>>(methods: T): T {
  const wrapped = Object.entries(methods).map(([name, method]) => [
    name,
    (...args: never[]) => guarded(() => method(...args)),
  ]);
  return Object.fromEntries(wrapped) as T;
}

function guarded(call: () => unknown): unknown {
  try {
    const result = call();
    if (result instanceof Promise) return result.catch((err) => Promise.reject(grpcError(err)));
    return isStream(result) ? translated(result) : result;
  } catch (err) {
    throw grpcError(err);
  }
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

async function* translated(stream: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  try {
    yield* stream;
  } catch (err) {
    throw grpcError(err);
  }
}

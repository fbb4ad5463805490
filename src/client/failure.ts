import { EngineError, type ErrorKind, messageOf } from "../errors/mod.ts";

const kinds: Readonly<Record<number, ErrorKind>> = {
  400: "invalid",
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  409: "conflict",
  501: "not-implemented",
  503: "unavailable",
};

/** What an answer of status 400 and above means; in docker's words, which scripts look for. */
export function refusal({ status, text }: { status: number; text: string }): EngineError {
  const message = messageIn(text) ?? (text.trim().slice(0, 500) || `status ${status} without a message`);
  return new EngineError(kinds[status] ?? "internal", `Error response from daemon: ${message}`);
}

function messageIn(text: string): string | undefined {
  try {
    const body: unknown = JSON.parse(text);
    const message = typeof body === "object" && body !== null && "message" in body ? body.message : undefined;
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

/** A request that got no answer: nobody listens, we may not connect, or the connection broke. */
export function noAnswer(err: unknown, host: string): EngineError {
  const code = err instanceof Error && "code" in err ? String(err.code) : "";
  if (code === "EACCES" || code === "EPERM")
    return new EngineError(
      "forbidden",
      `permission denied while trying to connect to the Berth daemon at ${host} (is this user in the socket's group?)`,
      { cause: err },
    );
  if (unreachable.has(code))
    return new EngineError(
      "unavailable",
      `Cannot connect to the Berth daemon at ${host}. Is the berth daemon running? (start one with: berth daemon)`,
      { cause: err },
    );
  return new EngineError(
    "unavailable",
    `error during connect: the Berth daemon at ${host} did not answer: ${messageOf(err)}`,
    {
      cause: err,
    },
  );
}

const unreachable = new Set([
  "ENOENT",
  "ECONNREFUSED",
  "ENOTDIR",
  "ENOTSOCK",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENOTFOUND",
]);

/** An answer that stopped before its end. */
export function cutShort(err: unknown, host: string): EngineError {
  return new EngineError("unavailable", `the connection to the Berth daemon at ${host} broke: ${messageOf(err)}`, {
    cause: err,
  });
}

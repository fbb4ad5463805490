import type { Client } from "../../../client/mod.ts";
import { containerPath } from "../path.ts";

export interface LogSource {
  readonly client: Client;
  readonly name: string;
  readonly signal: AbortSignal;
  readonly since?: string;
}

/** Of a line that does not end, so much is looked at. */
const longestLine = 64 * 1024;
const shownLines = 10;

/** Follows the log until a line matches (true) or it ends (false). */
export async function lineMatches(
  source: LogSource,
  { pattern, tty }: { readonly pattern: RegExp; readonly tty: boolean },
): Promise<boolean> {
  const stop = new AbortController();
  const signal = AbortSignal.any([source.signal, stop.signal]);
  const query = { stdout: true, stderr: true, follow: true, since: source.since };
  const rest = new Map<string, string>();
  try {
    for await (const { stream, text } of pieces({ ...source, signal }, { query, tty })) {
      const lines = `${rest.get(stream) ?? ""}${text}`.split("\n");
      if (lines.some((line) => pattern.test(line.replace(/\r$/, "")))) return true;
      rest.set(stream, (lines.at(-1) ?? "").slice(-longestLine));
    }
    return false;
  } finally {
    stop.abort();
  }
}

/** The end of the log, as text. */
export async function lastLines(source: LogSource, tty: boolean): Promise<string> {
  let all = "";
  const query = { stdout: true, stderr: true, tail: shownLines };
  for await (const { text } of pieces(source, { query, tty })) all += text;
  return all.slice(-longestLine).trimEnd();
}

/** Where the log ends now, for `since` of what comes later; undefined for an empty one. */
export async function endOfLog(source: LogSource, tty: boolean): Promise<string | undefined> {
  let line = "";
  const query = { stdout: true, stderr: true, tail: 1, timestamps: true };
  for await (const { text } of pieces(source, { query, tty })) line += text;
  const [, second, fraction = ""] = /^(\S+?)(?:\.(\d+))?Z /.exec(line) ?? [];
  if (second === undefined) return undefined;
  const nanos = BigInt(Date.parse(`${second}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0")) + 1n;
  return `${nanos / 1_000_000_000n}.${String(nanos % 1_000_000_000n).padStart(9, "0")}`;
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

async function* pieces(
  { client, name, signal }: LogSource,
  { query, tty }: { readonly query: Query; readonly tty: boolean },
): AsyncGenerator<{ readonly stream: string; readonly text: string }> {
  const { bytes } = await client.stream({ method: "GET", path: containerPath(name, "/logs"), query, signal });
  if (tty) {
    for await (const chunk of bytes) yield { stream: "tty", text: Buffer.from(chunk).toString() };
    return;
  }
  const { readFrames } = await import("../../../stream/mod.ts"); // brings zlib along, which is 5 ms of a start
  for await (const frame of readFrames(bytes))
    yield { stream: frame.stream, text: Buffer.from(frame.bytes).toString() };
}

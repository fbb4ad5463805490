import { EngineError } from "../errors/mod.ts";

/** An HTTP/1.1 answer as it arrives on a raw connection. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** What follows the head, for ever. */
  readonly rest: AsyncGenerator<Uint8Array>;
  /** What follows as a body; at most 1 MiB of it. */
  text(): Promise<string>;
}

const longestHead = 64 << 10;
const longestBody = 1 << 20;

/** undefined when the connection ends before the head does. Throws "internal" for what is not HTTP. */
export async function readAnswer(bytes: AsyncGenerator<Uint8Array>): Promise<Answer | undefined> {
  let received = Buffer.alloc(0);
  for (;;) {
    const end = received.indexOf("\r\n\r\n");
    if (end >= 0) return parsed(received.toString("latin1", 0, end), following(received.subarray(end + 4), bytes));
    if (received.length > longestHead) throw new EngineError("internal", "the daemon's answer has no end to its head");
    const next = await bytes.next();
    if (next.done) return undefined;
    received = Buffer.concat([received, next.value]);
  }
}

function parsed(head: string, rest: AsyncGenerator<Uint8Array>): Answer {
  const [first = "", ...lines] = head.split("\r\n");
  const status = Number(/^HTTP\/1\.\d (\d{3})/.exec(first)?.[1]);
  if (!status)
    throw new EngineError("internal", `the daemon does not speak HTTP: ${JSON.stringify(first.slice(0, 80))}`);
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.append(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return { status, headers, rest, text: () => bodyText(headers, rest) };
}

async function* following(first: Uint8Array, then: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  yield* then;
}

async function bodyText(headers: Headers, rest: AsyncGenerator<Uint8Array>): Promise<string> {
  const chunked = headers.get("transfer-encoding") === "chunked";
  const length = chunked ? longestBody : Math.min(Number(headers.get("content-length") ?? longestBody), longestBody);
  let body = Buffer.alloc(0);
  while (body.length < length && !(chunked && /(^|\r\n)0\r\n\r\n$/.test(body.toString("latin1", body.length - 7)))) {
    const next = await rest.next();
    if (next.done) break;
    body = Buffer.concat([body, next.value]);
  }
  return (chunked ? unchunked(body) : body).toString();
}

/** Takes the sizes out of a body sent in chunks (RFC 9112, 7.1). */
function unchunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf("\r\n", at);
    const size = Number.parseInt(body.toString("latin1", at, end), 16);
    if (end < 0 || !size) break;
    parts.push(body.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
  return Buffer.concat(parts);
}

import { open } from "node:fs/promises";
import type { Bytes } from "../stream/mod.ts";
import type { Channel } from "./channel.ts";
import type { Headers, Reply, Takeover } from "./http.ts";

/** All replies but those that take the connection instead of writing to it (hijack.ts). */
export type PlainReply = Exclude<Reply, TakeoverReply>;
export type TakeoverReply = Extract<Reply, Takeover>;

/** Writes a reply. Rejects when the client went away or the reply's source failed; the head may have left by then. */
export function sendReply(channel: Channel, reply: PlainReply, common: Headers): Promise<void> {
  const headers = { ...common, ...reply.headers };
  switch (reply.kind) {
    case "json":
      return sendText(channel, reply.status, { headers, type: "application/json", body: jsonText(reply.body) });
    case "text":
      return sendText(channel, reply.status, { headers, type: reply.type, body: reply.body });
    case "empty":
      return sendEmpty(channel, reply.status, headers);
    case "stream":
      return sendStream(channel, reply, headers);
    case "file":
      return sendFile(channel, reply, headers);
    default:
      return reply satisfies never;
  }
}

/** With the newline at the end that Go's encoder writes. */
function jsonText(body: unknown): string {
  return `${JSON.stringify(body)}\n`;
}

function sendText(channel: Channel, status: number, text: { headers: Headers; type: string; body: string }) {
  const length = String(Buffer.byteLength(text.body));
  channel.head(status, { "Content-Type": text.type, "Content-Length": length, ...text.headers });
  return channel.bodiless ? channel.end() : channel.end(text.body);
}

function sendEmpty(channel: Channel, status: number, headers: Headers): Promise<void> {
  const bodyForbidden = status === 204 || status === 304 || channel.bodiless;
  channel.head(status, bodyForbidden ? headers : { ...headers, "Content-Length": "0" });
  return channel.end();
}

async function sendStream(channel: Channel, reply: PlainReply & { kind: "stream" }, headers: Headers): Promise<void> {
  channel.head(reply.status, { "Content-Type": reply.type, ...headers });
  if (channel.bodiless) return channel.end();
  channel.flush();
  await pump(reply.bytes, channel);
  await channel.end();
}

/** The producer is told to stop as soon as the client leaves, also while it has nothing to say. */
async function pump(bytes: Bytes, channel: Channel): Promise<void> {
  const iterator = bytes[Symbol.asyncIterator]();
  let leave: () => void = () => undefined;
  const left = () => leave();
  // A promise of its own each time: reactions to one that lasts as long as the stream would pile up with every chunk.
  const next = () =>
    new Promise<IteratorResult<Uint8Array>>((resolve, reject) => {
      leave = () => reject(channel.signal.reason);
      if (channel.signal.aborted) leave();
      iterator.next().then(resolve, reject);
    });
  channel.signal.addEventListener("abort", left, { once: true });
  try {
    for (let item = await next(); !item.done; item = await next()) await channel.write(item.value);
  } catch (err) {
    // Not awaited: a generator that blocks gets to its `finally` only when it wakes up.
    iterator.return?.().catch(() => undefined);
    throw err;
  } finally {
    channel.signal.removeEventListener("abort", left);
  }
}

const fileChunk = 512 * 1024;

async function sendFile(channel: Channel, reply: PlainReply & { kind: "file" }, headers: Headers): Promise<void> {
  await using file = await open(reply.path, "r");
  const { size } = await file.stat();
  const { start, end } = reply.range ?? { start: 0, end: size - 1 };
  const range = reply.range ? { "Content-Range": `bytes ${start}-${end}/${size}` } : {};
  const length = { "Content-Length": String(end - start + 1) };
  channel.head(reply.status, { "Content-Type": reply.type, ...range, ...length, ...headers });
  for (let at = start; at <= end && !channel.bodiless; ) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(fileChunk, end - at + 1));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new Error(`${reply.path} became shorter while it was sent`);
    await channel.write(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  await channel.end();
}

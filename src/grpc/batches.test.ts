import { expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { encodeEnvelope, type UniversalClientFn } from "@connectrpc/connect/protocol";
import { filesync, fsutil } from "../proto/mod.ts";
import { callInBatches } from "./batches.ts";
import { Code, ConnectError } from "./mod.ts";

interface Answer {
  readonly body: readonly Uint8Array<ArrayBuffer>[];
  readonly status?: number;
  readonly header?: Readonly<Record<string, string>>;
  readonly trailer?: Readonly<Record<string, string>>;
}

const { signal } = new AbortController();

/** What a call brings whose other side answers so, and the bytes that were sent. */
async function call({ body, status = 200, header = {}, trailer = { "grpc-status": "0" } }: Answer) {
  let sent = 0;
  const send: UniversalClientFn = async (request) => {
    for await (const piece of request.body ?? []) sent += piece.length;
    async function* pieces() {
      yield* body;
    }
    const type = { "content-type": "application/grpc+proto" };
    return { status, header: new Headers({ ...type, ...header }), body: pieces(), trailer: new Headers(trailer) };
  };
  async function* messages() {
    yield [
      { type: 3, id: 1 },
      { type: 3, id: 2 },
    ];
  }
  const options = {
    baseUrl: "http://localhost",
    largestMessage: 100,
    messages: messages(),
    headers: new Headers(),
    signal,
  };
  const batches = await Array.fromAsync(callInBatches(send, filesync.FileSync.method.diffCopy, options));
  return { batches: batches.map((batch) => batch.map(({ id }) => id)), sent };
}

function packet(id: number): Uint8Array<ArrayBuffer> {
  return Buffer.from(encodeEnvelope(0, toBinary(fsutil.PacketSchema, create(fsutil.PacketSchema, { type: 2, id }))));
}

test("messages come as they are cut by whoever carries them", async () => {
  const all = Buffer.concat([packet(1), packet(2), packet(3)]);
  expect(await call({ body: [all] })).toEqual({ batches: [[1, 2, 3]], sent: 2 * (5 + 4) });
  const cuts = Array.from(all, (_, at) => Buffer.from(all.subarray(at, at + 1)));
  expect((await call({ body: cuts })).batches).toEqual([[1], [2], [3]]);
  const middle = packet(1).length + 7;
  const halves = [Buffer.from(all.subarray(0, middle)), Buffer.from(all.subarray(middle))];
  expect((await call({ body: halves })).batches).toEqual([[1], [2, 3]]);
  expect((await call({ body: [] })).batches).toEqual([]);
});

test("what the other side refuses, or leaves undone, is an error with its code", async () => {
  const failures: [Answer, Code, string][] = [
    [
      { body: [], trailer: { "grpc-status": "5", "grpc-message": "no such directory" } },
      Code.NotFound,
      "no such directory",
    ],
    [
      { body: [], header: { "grpc-status": "12", "grpc-message": "unknown method" } },
      Code.Unimplemented,
      "unknown method",
    ],
    [{ body: [], status: 404, trailer: {} }, Code.Unimplemented, "404"],
    [{ body: [packet(1)], trailer: {} }, Code.Internal, "missing status"],
    [{ body: [packet(1).subarray(0, 8)] }, Code.Unknown, "ended its call within a message"],
    [{ body: [encodeEnvelope(1, packet(1))] }, Code.Unknown, "a compressed message"],
    [{ body: [Buffer.from([0, 0x7f, 0xff, 0xff, 0xff])] }, Code.Unknown, "a message of 2147483647 bytes: at most 100"],
  ];
  for (const [answer, code, message] of failures) {
    const failure = await call(answer).then(
      () => undefined,
      (err: unknown) => err,
    );
    expect(failure).toBeInstanceOf(ConnectError);
    if (failure instanceof ConnectError)
      expect([failure.code, failure.message]).toEqual([code, expect.stringContaining(message)]);
  }
});

import { expect, test } from "bun:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { filesync, fsutil, rpc, secrets, ssh } from "../proto/mod.ts";
import {
  Code,
  ConnectError,
  type Connection,
  callOver,
  detailedError,
  errorDetails,
  metadata,
  serveOver,
} from "./mod.ts";

/** Two ends of one connection in memory. */
function connections(): [Connection, Connection] {
  const streams = [
    new TransformStream<Uint8Array, Uint8Array>(),
    new TransformStream<Uint8Array, Uint8Array>(),
  ] as const;
  const end = (
    from: TransformStream<Uint8Array, Uint8Array>,
    to: TransformStream<Uint8Array, Uint8Array>,
  ): Connection => {
    const writer = to.writable.getWriter();
    writer.closed.catch(() => undefined);
    return {
      input: from.readable,
      write: (bytes) => writer.write(bytes),
      close: () => void writer.close().catch(() => undefined),
    };
  };
  return [end(streams[0], streams[1]), end(streams[1], streams[0])];
}

const detail = { typeUrl: "example.test/a.B+json", value: new Uint8Array([1, 2]) };

const large = { ...detail, value: new Uint8Array(30_000) };
const failure = { code: Code.Unknown, details: [detail] };

function session() {
  const [here, there] = connections();
  const stop = new AbortController();
  const seen: Headers[] = [];
  const served = serveOver(there, {
    signal: stop.signal,
    routes: (router) => {
      router.service(secrets.Secrets, {
        getSecret({ id }, context) {
          seen.push(context.requestHeader);
          if (id === "none") throw new ConnectError("secret none: not found", Code.NotFound);
          if (id === "detailed") throw detailedError({ ...failure, message: "failed: é" });
          if (id === "long") throw detailedError({ ...failure, message: "é".repeat(100_000) });
          if (id === "large") throw detailedError({ ...failure, message: id, details: [large] });
          return { data: Buffer.from(`value of ${id}`) };
        },
      });
      router.service(filesync.FileSync, {
        async *diffCopy(packets) {
          for await (const packet of packets) yield { id: packet.id + 1, data: packet.data };
        },
      });
    },
  });
  return { caller: callOver(here), served, seen, stop };
}

test("calls, failures with their code, and methods that are not there", async () => {
  const { caller, seen } = session();
  const client = caller.client(secrets.Secrets);
  const several = metadata({ "include-patterns": ["a, b", "*.c"] });
  expect(Buffer.from((await client.getSecret({ id: "x" }, { headers: several })).data).toString()).toBe("value of x");
  expect(seen[0]?.get("include-patterns")).toBe("a, b, *.c");
  await expect(client.getSecret({ id: "none" })).rejects.toMatchObject({
    code: Code.NotFound,
    rawMessage: "secret none: not found",
  });
  await expect(caller.client(ssh.SSH).checkAgent({ id: "x" })).rejects.toMatchObject({ code: Code.Unimplemented });
  caller[Symbol.dispose]();
});

test("an error's details have the types that they were given", async () => {
  const { caller } = session();
  const failed: unknown = await caller
    .client(secrets.Secrets)
    .getSecret({ id: "detailed" })
    .catch((err) => err);
  expect(failed).toMatchObject({ code: Code.Unknown, rawMessage: "failed: é" });
  const sent = (failed as ConnectError).metadata.get("grpc-status-details-bin") ?? "";
  expect(fromBinary(rpc.StatusSchema, Buffer.from(sent, "base64"))).toMatchObject({
    ...{ code: Code.Unknown, message: "failed: é" },
    details: [{ typeUrl: "example.test/a.B+json", value: new Uint8Array([1, 2]) }],
  });
  const long = (id: string) => caller.client(secrets.Secrets).getSecret({ id });
  await expect(long("long")).rejects.toMatchObject({ rawMessage: expect.stringMatching(/^é{1706}…$/) });
  await expect(long("large")).rejects.toMatchObject({ rawMessage: "large", details: [] });
  const odd = new ConnectError("m", Code.Unknown, { "berth-status-details-bin": "AP8=" });
  expect(errorDetails(odd)).toEqual([]);
  expect(detailedError({ message: "m", code: Code.Unknown, details: [] }).metadata.keys().next().done).toBe(true);
  caller[Symbol.dispose]();
});

test("both sides stream at once, megabytes and a slow reader too", async () => {
  const { caller } = session();
  const size = 64 * 1024;
  async function* packets() {
    for (let id = 0; id < 100; id++) yield create(fsutil.PacketSchema, { id, data: Buffer.alloc(size, id) });
  }
  let next = 1;
  for await (const { id, data } of caller.client(filesync.FileSync).diffCopy(packets())) {
    expect(id).toBe(next++);
    expect(data.length).toBe(size);
    if (id % 20 === 0) await Bun.sleep(20);
  }
  expect(next).toBe(101);
  caller[Symbol.dispose]();
});

test("a body that fails explains the call that failed for it", async () => {
  const { caller } = session();
  async function* broken() {
    yield create(fsutil.PacketSchema, { id: 1 });
    await Bun.sleep(10);
    throw new Error("the disk is gone");
  }
  const answers = Array.fromAsync(caller.client(filesync.FileSync).diffCopy(broken()));
  await expect(answers).rejects.toMatchObject({ rawMessage: "the disk is gone" });
  caller[Symbol.dispose]();
});

test("a side that leaves ends the other, and what waits for an answer", async () => {
  const { caller, served, stop } = session();
  const { promise: never } = Promise.withResolvers<void>();
  async function* silent() {
    yield create(fsutil.PacketSchema, { id: 7 });
    await never;
  }
  const answers = caller.client(filesync.FileSync).diffCopy(silent())[Symbol.asyncIterator]();
  expect((await answers.next()).value?.id).toBe(8);
  const waiting = answers.next();
  stop.abort();
  await served;
  await caller.closed;
  await expect(waiting).rejects.toBeInstanceOf(ConnectError);
  await expect(caller.client(secrets.Secrets).getSecret({ id: "x" })).rejects.toBeInstanceOf(ConnectError);
});

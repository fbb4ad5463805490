import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { Code, callOver } from "../grpc/mod.ts";
import { control } from "../proto/mod.ts";
import { direct, openSession } from "./testing/client.ts";
import { client, context, id, methods, openDoor, type TestDoor } from "./testing/door.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door[Symbol.asyncDispose]());

test("the Control API is on the socket itself, for clients that begin with HTTP/2", async () => {
  using caller = callOver(direct(door.path));
  const service = caller.client(control.Control);
  expect((await service.listWorkers({})).record.map((worker) => worker.id)).toEqual(["w"]);
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  const solve = { ref: "direct", session: session.id, frontend: "dockerfile.v0", exporter: "moby" };
  const { exporterResponse } = await service.solve({ ...solve, exporterAttrs: { name: "x" } });
  expect(exporterResponse["containerimage.digest"]).toBe(id);
  const refused = service.solve({ ...solve, ref: "other", frontend: "gateway.v0" }).then(
    () => undefined,
    (err: { code: Code }) => err.code,
  );
  expect(await refused).toBe(Code.Unimplemented);
});

test("what is no gRPC gets 415", async () => {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(door.path) });
  const stream = session.request({ ":path": "/_ping" });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  stream.on("response", (headers) => resolve(headers[":status"]));
  stream.resume();
  stream.end();
  expect(await promise).toBe(415);
  session.destroy();
});

test("a connection that breaks HTTP/2 is closed, and others are not", async () => {
  using caller = callOver(direct(door.path));
  const socket = connect(door.path);
  socket.write(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"garbage".repeat(100)}`);
  socket.resume();
  await new Promise((resolve) => socket.once("close", resolve));
  expect((await caller.client(control.Control).info({})).buildkitVersion?.version).toBe("v1");
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { failedAt } from "../builder/testing/failed-at.ts";
import { EngineError } from "../errors/mod.ts";
import { Code, type ConnectError, callOver } from "../grpc/mod.ts";
import { control, gateway, rpc } from "../proto/mod.ts";
import { hijacked, openSession } from "./testing/client.ts";
import { client, context, methods, openDoor, type TestDoor } from "./testing/door.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door[Symbol.asyncDispose]());

interface Told {
  readonly code: Code;
  readonly message: string;
  /** By type, from JSON. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Of the steps that failed. */
  readonly vertices: readonly { readonly digest: string; readonly error: string }[];
}

let builds = 0;
/** A build that ends as `act` does; `steer` says what the client returns, in place of a result. */
async function failing(act: TestDoor["act"], steer?: rpc.Status): Promise<Told> {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  using caller = callOver(await hijacked(door.path, "/grpc"));
  const service = caller.client(control.Control);
  door.act = act;
  const ref = `d${builds++}`;
  const solve = { ref, session: session.id, frontend: steer ? "" : "dockerfile.v0", exporter: "moby" };
  const headers = { "buildkit-controlapi-buildid": ref };
  const solved = service.solve(solve).catch((err) => err);
  if (steer) await caller.client(gateway.LLBBridge).return({ error: steer }, { headers });
  const err: ConnectError = await solved;
  const sent = fromBinary(rpc.StatusSchema, Buffer.from(err.metadata.get("grpc-status-details-bin") ?? "", "base64"));
  const types = sent.details.map(({ typeUrl, value }) => [typeUrl, JSON.parse(Buffer.from(value).toString())] as const);
  const status = await Array.fromAsync(service.status({ ref }));
  const vertices = status.flatMap(({ vertexes }) => vertexes.filter(({ error }) => error !== ""));
  return { code: err.code, message: err.rawMessage, details: Object.fromEntries(types), vertices };
}

const prefix = "github.com/moby/buildkit/errdefs.";
const [vertex, source] = [`${prefix}Vertex+json`, `${prefix}Source+json`];
const text = "FROM base\nRUN work\n";
const lines = { line: 2, endLine: 2 };

test("a step that failed: its vertex, and where it stands in which Dockerfile", async () => {
  const { details, message, vertices } = await failing(async ({ observer }) => {
    observer?.ended(1, { kind: "failed", message: "no work" });
    throw failedAt(new EngineError("invalid", "no work"), { text, lines });
  });
  expect(message).toBe("no work");
  expect(vertices).toMatchObject([{ error: "no work" }]);
  const info = { filename: "Dockerfile", data: Buffer.from(text).toString("base64"), language: "Dockerfile" };
  expect(details).toEqual({
    [vertex]: { digest: vertices[0]?.digest },
    [source]: { info, ranges: [{ start: { line: 2 }, end: { line: 2 } }] },
  });
});

test("the lines that a message quotes are told once, and by no code that clients would show", async () => {
  const gone = new EngineError("unavailable", "cannot be had");
  const quoting = () => Promise.reject(failedAt(gone, { text, lines, quotes: true }));
  const { code, details, message, vertices } = await failing(quoting);
  expect([code, message]).toEqual([Code.Unknown, "cannot be had"]);
  expect(Object.keys(details)).toEqual([source]);
  expect(vertices.map(({ error }) => error)).toEqual(["cannot be had"]);
  const long = { text: `${"\n".repeat(20_000)}RUN x`, lines: { line: 2, endLine: 20_000 }, quotes: true };
  const kept = await failing(() => Promise.reject(failedAt(new EngineError("invalid", "bad"), long)));
  expect([Object.keys(kept.details), kept.message]).toEqual([[], expect.stringContaining("bad\nDockerfile:2\n")]);
});

test("what stands nowhere has no details; a message longer than a trailer can be is cut", async () => {
  const plain = await failing(() => Promise.reject(new EngineError("invalid", "no such target")));
  expect([plain.message, plain.details]).toEqual(["no such target", {}]);
  const { message } = await failing(() => Promise.reject(new EngineError("invalid", `a${"€".repeat(70_000)}`)));
  expect(message).toMatch(/^a€{1100,1150}…$/);
});

test("what a client that steers its build says that went wrong comes back to it, details and all", async () => {
  const status = (more: MessageInitShape<typeof rpc.StatusSchema>) =>
    create(rpc.StatusSchema, { code: Code.Unknown, message: "mine", ...more });
  const details = [{ typeUrl: source, value: Buffer.from('{"a":1}') }];
  expect(await failing(async () => undefined, status({ details }))).toMatchObject({
    ...{ code: Code.Unknown, message: "mine" },
    details: { [source]: { a: 1 } },
  });
  const large = [{ typeUrl: source, value: Buffer.from(JSON.stringify("x".repeat(30_000))) }];
  const odd = await failing(async () => undefined, status({ code: 99, message: "", details: large }));
  expect(odd).toMatchObject({ code: Code.Unknown, message: "the client gave the build up", details: {} });
});

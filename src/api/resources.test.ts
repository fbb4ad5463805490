import { expect, test } from "bun:test";
import { Queue } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { Events } from "../events/mod.ts";
import { Wire } from "../http/http.suite.ts";
import type { EventMessage } from "../wire/mod.ts";
import { api } from "./api.suite.ts";
import type { BuildRequest } from "./mod.ts";

test("networks: names with spaces, bodies, prune", async () => {
  const calls: unknown[] = [];
  const networks = {
    list: (filter: ReadonlyMap<string, readonly string[]>) => {
      calls.push(Object.fromEntries(filter));
      return ["a", "used"].map((Name) => ({ Name, Id: Name })) as never;
    },
    get: (id: string) => ({ Id: id }) as never,
    create: async (body: { Name: string }) => ({ id: `id of ${body.Name}`, warning: "" }),
    remove: async (id: string) => {
      if (id === "used") throw new EngineError("forbidden", "has active endpoints");
    },
    prune: async (filter: ReadonlyMap<string, readonly string[]>) => {
      calls.push(Object.fromEntries(filter));
      return ["a"];
    },
  };
  const connect = async (...args: unknown[]) => void calls.push(args);
  await using a = await api({ networks, containers: { connect, disconnect: connect } });
  expect((await a.ask("GET", "/networks/my%20net")).body).toEqual({ Id: "my net" });
  expect(await a.ask("POST", "/networks/create", { body: { Name: "n" } })).toMatchObject({
    status: 201,
    body: { Id: "id of n", Warning: "" },
  });
  expect((await a.ask("POST", "/networks/create", { body: {} })).status).toBe(400);
  expect((await a.ask("DELETE", "/networks/a")).status).toBe(204);
  expect((await a.ask("DELETE", "/networks/used")).status).toBe(403);
  expect((await a.ask("POST", "/networks/n/connect", { body: { Container: "c" } })).status).toBe(200);
  expect((await a.ask("POST", "/networks/n/disconnect", { body: { Container: "c", Force: true } })).status).toBe(200);
  expect(calls.splice(0)).toEqual([
    ["n", { Container: "c", EndpointConfig: {} }],
    ["n", { Container: "c", Force: true }],
  ]);
  const filters = encodeURIComponent('{"label":["x"]}');
  expect((await a.ask("POST", `/networks/prune?filters=${filters}`)).body).toEqual({ NetworksDeleted: ["a"] });
  expect(calls).toEqual([{ label: ["x"] }]);
});

test("volumes", async () => {
  const removed: unknown[] = [];
  const volumes = {
    list: () => [{ Name: "v" }] as never,
    get: (name: string) => ({ Name: name }) as never,
    create: async (body: { Name: string }) => ({ Name: body.Name || "generated" }) as never,
    remove: async (name: string, force: boolean) => void removed.push([name, force]),
    prune: async () => ({ deleted: ["v"], reclaimed: 9 }),
  };
  await using a = await api({ volumes });
  expect((await a.ask("GET", "/volumes")).body).toEqual({ Volumes: [{ Name: "v" }], Warnings: [] });
  expect((await a.ask("GET", "/volumes/v")).body).toEqual({ Name: "v" });
  expect(await a.ask("POST", "/volumes/create")).toMatchObject({ status: 201, body: { Name: "generated" } });
  expect((await a.ask("DELETE", "/volumes/v?force=true")).status).toBe(204);
  expect(removed).toEqual([["v", true]]);
  expect((await a.ask("POST", "/volumes/prune")).body).toEqual({ VolumesDeleted: ["v"], SpaceReclaimed: 9 });
});

const event = (action: string, at: number, type = "container"): EventMessage => ({
  Type: type,
  Action: action,
  Actor: { ID: "c", Attributes: { image: "i" } },
  scope: "local",
  time: at,
  timeNano: at * 1e9,
});

/** A log of these events, on which more can be pushed. */
function eventSource(stored: readonly EventMessage[]) {
  const more = new Queue<readonly EventMessage[]>();
  const asked: unknown[] = [];
  const events: Partial<Events> = {
    follow: ({ since, until, filter, signal }) => {
      asked.push({ since, until, filter: Object.fromEntries(filter) });
      signal.addEventListener("abort", () => more.close());
      if (until !== undefined) more.close();
      return (async function* () {
        if (stored.length > 0) yield stored;
        yield* more;
      })();
    },
  };
  return { events, asked, push: (message: EventMessage) => more.push([message]) };
}

test("events: headers at once, portions as lines with the old fields", async () => {
  const { events, push } = eventSource([event("create", 1), event("start", 5)]);
  await using a = await api({ events });
  const wire = new Wire(a.path).send("GET /events?since=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  await wire.text('"Action":"start"');
  expect(wire.received).toContain('{"status":"start","id":"c","from":"i","Type":"container"');
  push(event("die", 6));
  await wire.text('"Action":"die"');
  wire.socket.destroy();
  const { events: quietly } = eventSource([]);
  await using b = await api({ events: quietly });
  const quiet = new Wire(b.path).send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  await quiet.text("\r\n\r\n");
  quiet.socket.destroy();
});

test("events: what is asked for, and nonsense that is refused", async () => {
  const { events, asked } = eventSource([event("create", 1), event("start", 5, "network")]);
  await using a = await api({ events });
  const { text } = await a.ask("GET", `/events?until=5.25&filters=${encodeURIComponent('{"type":{"network":true}}')}`);
  const lines = text.trim().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { status?: string }).status)).toEqual(["create", undefined]);
  await a.ask("GET", "/events?since=2026-01-01T00:00:00%2B01:00&until=1767225600");
  expect(asked).toEqual([
    { since: 0n, until: 5_250_000_000n, filter: { type: ["network"] } },
    { since: 1_767_222_000_000_000_000n, until: 1_767_225_600_000_000_000n, filter: {} },
  ]);
  expect(await a.ask("GET", "/events?since=5&until=1")).toMatchObject({
    status: 400,
    body: { message: "`since` time (5) cannot be after `until` time (1)" },
  });
  expect((await a.ask("GET", "/events?since=x")).status).toBe(400);
  expect((await a.ask("GET", "/events?filters=x")).status).toBe(400);
});

test("build: the query and the body go through, errors before and after the first line", async () => {
  const asked: unknown[] = [];
  const build = async ({ query, context, registryAuth, progress }: BuildRequest) => {
    asked.push([query.tags, Buffer.concat(await Array.fromAsync(context)).toString(), registryAuth]);
    if (query.dockerfile === "empty") throw new EngineError("invalid", "the Dockerfile (empty) cannot be empty");
    progress({ stream: "Step 1/1\n" });
    if (query.dockerfile === "broken") {
      const message = "returned a non-zero code: 3";
      progress({ errorDetail: { message, code: 3 }, error: message });
      throw new EngineError("invalid", message);
    }
  };
  const pruned: unknown[] = [];
  const prune = async (_: unknown, options: unknown) => {
    pruned.push(options);
    return { deleted: ["k"], reclaimed: 1 };
  };
  await using a = await api({ build: { build }, builder: { prune } });
  const auths = Buffer.from('{"r:5000":{"username":"u"}}').toString("base64url");
  const ok = await a.ask("POST", "/build?t=a&t=b", {
    body: "tar",
    headers: { "X-Registry-Config": auths, "Content-Type": "application/x-tar" },
  });
  expect([ok.status, ok.text]).toEqual([200, '{"stream":"Step 1/1\\n"}\n']);
  expect(asked).toEqual([[["a", "b"], "tar", { "r:5000": { username: "u" } }]]);
  expect(await a.ask("POST", "/build?dockerfile=empty", { body: "" })).toMatchObject({
    status: 400,
    body: { message: expect.stringContaining("empty") },
  });
  const broken = await a.ask("POST", "/build?dockerfile=broken", { body: "" });
  expect(broken.text.trim().split("\n").slice(1)).toEqual([
    '{"errorDetail":{"message":"returned a non-zero code: 3","code":3},"error":"returned a non-zero code: 3"}',
  ]);
  expect((await a.ask("POST", "/build/prune?all=1")).body).toEqual({ CachesDeleted: ["k"], SpaceReclaimed: 1 });
  await a.ask("POST", "/build/prune?keep-storage=5&max-used-space=7&min-free-space=9");
  expect(pruned.at(-1)).toEqual({ all: false, reserved: 5, most: 7, minFree: 9 });
});

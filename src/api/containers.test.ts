import { expect, test } from "bun:test";
import type { Containers } from "../containers/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { collect, Wire } from "../http/http.suite.ts";
import type { HijackedSocket } from "../http/mod.ts";
import { api } from "./api.suite.ts";

const notFound = () => new EngineError("not-found", "No such container: x");
const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
const post = (path: string, body = "", headers = upgrade) =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

/** Every method answers with nothing and writes down how it was called. */
function recording(): { calls: unknown[][]; containers: Partial<Containers> } {
  const calls: unknown[][] = [];
  const step =
    (name: string) =>
    async (...args: unknown[]) =>
      void calls.push([name, ...args]);
  const names = ["start", "stop", "restart", "kill", "pause", "unpause", "rename", "remove", "resize"] as const;
  return { calls, containers: Object.fromEntries(names.map((name) => [name, step(name)])) };
}

test("steps, their options and their statuses", async () => {
  const { calls, containers } = recording();
  await using a = await api({ containers });
  const cases: [string, string, unknown[], number?][] = [
    ["POST", "/containers/web/start", ["start", "web"]],
    ["POST", "/containers//web/start?detachKeys=ctrl-a", ["start", "web"]],
    ["POST", "/containers/web/stop", ["stop", "web", {}]],
    ["POST", "/containers/web/stop?t=-1&signal=INT", ["stop", "web", { timeout: -1, signal: "INT" }]],
    ["POST", "/containers/web/restart?t=0", ["restart", "web", { timeout: 0 }]],
    ["POST", "/containers/web/kill", ["kill", "web", "SIGKILL"]],
    ["POST", "/containers/web/kill?signal=9", ["kill", "web", "9"]],
    ["POST", "/containers/web/pause", ["pause", "web"]],
    ["POST", "/containers/web/unpause", ["unpause", "web"]],
    ["POST", "/containers/web/rename?name=/new", ["rename", "web", "new"]],
    ["POST", "/containers/web/resize?h=24&w=80", ["resize", "web", { rows: 24, columns: 80 }], 200],
    ["DELETE", "/containers/web?force=True&v=1", ["remove", "web", { force: true, volumes: true, link: false }]],
    ["DELETE", "/containers/web/db?link=1", ["remove", "web/db", { force: false, volumes: false, link: true }]],
  ];
  for (const [method, path, call, status = 204] of cases) {
    const answer = await a.ask(method, path, { body: method === "POST" ? {} : undefined });
    expect([path, answer.status, answer.text]).toEqual([path, status, ""]);
    expect(calls.pop()).toEqual(call);
  }
  for (const path of ["stop?t=x", "resize?h=1", "resize?h=-1&w=1", "resize?h=x&w=1"])
    expect([path, (await a.ask("POST", `/containers/web/${path}`)).status]).toEqual([path, 400]);
  const hostConfig = await a.ask("POST", "/containers/web/start", { body: { HostConfig: {} } });
  expect(hostConfig).toMatchObject({
    status: 400,
    body: { message: expect.stringContaining("non-empty request body") },
  });
  expect((await a.ask("POST", "/containers/web/start?checkpoint=c")).status).toBe(501);
  expect(calls).toEqual([]);
});

test("create decodes the body and passes name and platform on", async () => {
  const requests: unknown[] = [];
  const create: Containers["create"] = async (request) => {
    requests.push(request);
    return { Id: "abc", Warnings: [] };
  };
  await using a = await api({ containers: { create } });
  const body = { Image: "nginx", hostconfig: { Memory: 5 } };
  expect(await a.ask("POST", "/v1.44/containers/create?name=/web&platform=linux/amd64", { body })).toMatchObject({
    status: 201,
    body: { Id: "abc", Warnings: [] },
  });
  expect(requests).toMatchObject([
    {
      name: "web",
      platform: "linux/amd64",
      body: { config: { Image: "nginx" }, hostConfig: { Memory: 5, Binds: null } },
    },
  ]);
  const bad: [unknown, string][] = [
    [undefined, "config cannot be empty in order to create a container"],
    ["{", "invalid JSON: "],
    [{ HostConfig: { Memory: "x" } }, "invalid JSON: HostConfig.Memory must be an integer"],
    [`"${"x".repeat(10_000_000)}"`, "request body too large"],
  ];
  for (const [sent, message] of bad) {
    const answer = await a.ask("POST", "/containers/create", { body: sent });
    expect([answer.status, (answer.body as { message: string }).message]).toEqual([
      400,
      expect.stringContaining(message),
    ]);
  }
});

test("lists, with filters in both forms and the old since and before", async () => {
  const asked: unknown[] = [];
  const list: Containers["list"] = async (options) => {
    asked.push({ ...options, filter: Object.fromEntries(options.filter) });
    return [];
  };
  await using a = await api({ containers: { list } });
  expect((await a.ask("GET", "/containers/json")).body).toEqual([]);
  const filters = encodeURIComponent('{"label":{"a":true},"status":["exited"]}');
  await a.ask("GET", `/containers/json?all=1&limit=3&size=true&before=x&filters=${filters}`);
  expect(asked).toEqual([
    { all: false, limit: 0, size: false, filter: {} },
    { all: true, limit: 3, size: true, filter: { label: ["a"], status: ["exited"], before: ["x"] } },
  ]);
  expect(await a.ask("GET", "/containers/json?filters=[1")).toMatchObject({
    status: 400,
    body: { message: expect.stringMatching(/^invalid filter/) },
  });
});

test("inspect, top, changes, update, prune, export", async () => {
  const containers = {
    inspect: async (ref: string, size: boolean) => ({ Id: ref, size }) as never,
    top: async (ref: string, args: string) => ({ Titles: [ref, args], Processes: [] }),
    changes: async () => [{ Path: "/a", Kind: 1 as const }],
    update: async (_: string, body: object) => ({ Warnings: Object.keys(body) }),
    prune: async () => ({ ContainersDeleted: ["a"], SpaceReclaimed: 5 }),
    export: (ref: string) =>
      (async function* () {
        if (ref === "x") throw notFound();
        yield Buffer.from("tar");
      })(),
  };
  await using a = await api({ containers });
  expect((await a.ask("GET", "/containers/web/json?size=1")).body).toEqual({ Id: "web", size: true });
  expect((await a.ask("GET", "/containers/web/top")).body).toEqual({ Titles: ["web", "-ef"], Processes: [] });
  expect((await a.ask("GET", "/containers/web/top?ps_args=aux")).body).toMatchObject({ Titles: ["web", "aux"] });
  expect((await a.ask("GET", "/containers/web/changes")).body).toEqual([{ Path: "/a", Kind: 1 }]);
  expect((await a.ask("POST", "/containers/web/update", { body: { Memory: 1 } })).body).toEqual({
    Warnings: ["Memory"],
  });
  expect((await a.ask("POST", "/containers/prune")).body).toEqual({ ContainersDeleted: ["a"], SpaceReclaimed: 5 });
  expect(await a.ask("GET", "/containers/web/export")).toMatchObject({ status: 200, text: "tar" });
  expect((await a.ask("GET", "/containers/x/export")).status).toBe(404);
});

test("logs: options, content types, refusals", async () => {
  const asked: unknown[] = [];
  const logs: Containers["logs"] = async (ref, { signal: _, ...options }) => {
    if (ref === "x") throw notFound();
    asked.push(options);
    return {
      kind: ref === "tty" ? "raw" : "multiplexed",
      bytes: (async function* () {
        yield Buffer.from("line");
      })(),
    };
  };
  await using a = await api({ containers: { logs } });
  const type = async (path: string) => (await a.ask("GET", path)).headers.get("content-type");
  expect(await type("/containers/web/logs?stdout=1")).toBe("application/vnd.docker.multiplexed-stream");
  expect(await type("/v1.41/containers/web/logs?stdout=1")).toBe("application/vnd.docker.raw-stream");
  expect(await type("/containers/tty/logs?stdout=1")).toBe("application/vnd.docker.raw-stream");
  asked.length = 0;
  await a.ask(
    "GET",
    "/containers/web/logs?stderr=1&tail=5&since=1.000000001&until=2006-01-02T15:04:05Z&timestamps=1&details=1",
  );
  await a.ask("GET", "/containers/web/logs?stdout=1&tail=all");
  const since = 1_000_000_001n;
  const until = 1_136_214_245_000_000_000n;
  expect(asked).toEqual([
    { stdout: false, stderr: true, follow: false, timestamps: true, since, until, details: true, tail: 5 },
    { stdout: true, stderr: false, follow: false, timestamps: false, since: 0n, until: 0n, details: false },
  ]);
  expect(await a.ask("GET", "/containers/web/logs")).toMatchObject({
    status: 400,
    body: { message: "Bad parameters: you must choose at least one stream" },
  });
  expect((await a.ask("GET", "/containers/web/logs?stdout=1&since=x")).status).toBe(400);
  expect((await a.ask("GET", "/containers/x/logs?stdout=1")).status).toBe(404);
});

test("wait sends its headers at once, but not for a container that is not there", async () => {
  const { promise: exit, resolve } = Promise.withResolvers<{ StatusCode: number }>();
  const conditions: unknown[] = [];
  const containers: Partial<Containers> = {
    wait: (ref, until) => {
      conditions.push(until);
      return ref === "x" ? Promise.reject(notFound()) : exit;
    },
    inspect: async (ref) => (ref === "x" ? Promise.reject(notFound()) : ({} as never)),
  };
  await using a = await api({ containers });
  const wire = new Wire(a.path).send(post("/containers/web/wait?condition=next-exit", "", ""));
  expect(await wire.text("\r\n\r\n")).toStartWith("HTTP/1.1 200 OK\r\n");
  resolve({ StatusCode: 7 });
  await wire.text('{"StatusCode":7}\n');
  wire.socket.destroy();
  expect(conditions).toEqual(["next-exit"]);
  expect((await a.ask("POST", "/containers/x/wait")).status).toBe(404);
  expect((await a.ask("POST", "/containers/web/wait?condition=x")).status).toBe(400);
});

test("attach hands the connection over, or answers with an error", async () => {
  const asked: unknown[] = [];
  const serve = async (socket: HijackedSocket) => {
    await socket.write(Buffer.from("hello "));
    await socket.write(Buffer.from((await collect(socket.input)).toUpperCase()));
  };
  const attach: Containers["attach"] = async (ref, options) => {
    asked.push(options);
    if (ref === "x") throw notFound();
    return { kind: "multiplexed", serve, leave: () => undefined };
  };
  await using a = await api({ containers: { attach } });
  for (const [version, type] of [
    ["1.51", "multiplexed"],
    ["1.40", "raw"],
  ]) {
    const wire = new Wire(a.path);
    wire.socket.end(
      `${post(`/v${version}/containers/web/attach?stream=1&stdin=1&stdout=true&detachKeys=ctrl-x`)}input`,
    );
    const text = await wire.end();
    expect(text).toStartWith("HTTP/1.1 101 UPGRADED\r\n");
    expect(text).toContain(`Content-Type: application/vnd.docker.${type}-stream\r\n`);
    expect(text).toEndWith("\r\n\r\nhello INPUT");
  }
  expect(asked[0]).toEqual({
    stdin: true,
    stdout: true,
    stderr: false,
    logs: false,
    stream: true,
    detachKeys: "ctrl-x",
  });
  expect(await new Wire(a.path).send(post("/containers/x/attach")).end()).toStartWith("HTTP/1.1 404 Not Found\r\n");
});

test("exec: create, start attached and detached, errors before the connection is handed over", async () => {
  const log: unknown[] = [];
  const containers: Partial<Containers> = {
    createExec: async (ref, body) => ({ Id: `${ref}-${body.Cmd.join(" ")}` }),
    inspectExec: (id) => ({ ID: id }) as never,
    resizeExec: async (id, size) => void log.push([id, size]),
    startExec: async (id, body, connect) => {
      log.push([id, body]);
      if (id === "x") throw new EngineError("conflict", "container is not running");
      const socket = await connect?.(body.Tty ? "raw" : "multiplexed");
      await socket?.write(Buffer.from(`ran:${await collect(socket.input)}`));
    },
  };
  await using a = await api({ containers });
  expect(await a.ask("POST", "/containers/web/exec", { body: { Cmd: ["ls", "-l"] } })).toMatchObject({
    status: 201,
    body: { Id: "web-ls -l" },
  });
  expect(await a.ask("POST", "/containers/web/exec", { body: {} })).toMatchObject({
    status: 400,
    body: { message: "No exec command specified" },
  });
  expect((await a.ask("GET", "/exec/e1/json")).body).toEqual({ ID: "e1" });
  expect((await a.ask("POST", "/exec/e1/resize?h=1&w=2")).status).toBe(200);
  expect((await a.ask("POST", "/exec/e1/start", { body: { Detach: true } })).status).toBe(200);
  expect(log).toEqual([
    ["e1", { rows: 1, columns: 2 }],
    ["e1", { Detach: true, Tty: false }],
  ]);
  const wire = new Wire(a.path);
  wire.socket.end(`${post("/exec/e1/start", '{"Detach":false,"Tty":true}')}in`);
  const text = await wire.end();
  expect(text).toContain("application/vnd.docker.raw-stream");
  expect(text).toEndWith("\r\n\r\nran:in");
  const plain = await new Wire(a.path).send(post("/exec/e1/start", "{}", "")).end();
  expect(plain).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(plain).toEndWith("\r\n\r\nran:");
  expect(await new Wire(a.path).send(post("/exec/x/start", "{}")).end()).toContain(
    '{"message":"container is not running"}',
  );
});

test("commit: options from the query, a configuration from the body", async () => {
  const asked: unknown[] = [];
  const commit: Containers["commit"] = async (ref, options) => {
    asked.push([ref, options]);
    return { Id: "sha256:1" };
  };
  await using a = await api({ containers: { commit } });
  const path = "/commit?container=/web&repo=r&tag=t&comment=c&author=a&pause=0&changes=CMD%20x&changes=ENV%20a=b";
  expect(await a.ask("POST", path, { body: "null" })).toMatchObject({ status: 201, body: { Id: "sha256:1" } });
  await a.ask("POST", "/commit?container=web", { body: { container: "web", repo: "r" } });
  expect(asked).toEqual([
    ["web", { repo: "r", tag: "t", comment: "c", author: "a", pause: false, changes: ["CMD x", "ENV a=b"] }],
    ["web", { pause: true, changes: [] }],
  ]);
  await a.ask("POST", "/commit?container=web", { body: { Labels: { a: "b" } } });
  expect(asked[2]).toMatchObject(["web", { config: { Labels: { a: "b" }, Cmd: null } }]);
  expect((await a.ask("POST", "/commit")).status).toBe(400);
});

test("until API 1.44 the short id is among the aliases of whoever has names", async () => {
  const Networks = { own: { Aliases: ["web"], DNSNames: ["c"] }, bridge: { Aliases: null, DNSNames: null } };
  const inspect = async () => ({ Id: "0123456789abcdef", NetworkSettings: { Networks } }) as never;
  await using a = await api({ containers: { inspect } });
  const aliases = async (path: string) => {
    const { body } = await a.ask("GET", path);
    const networks = (body as { NetworkSettings: { Networks: typeof Networks } }).NetworkSettings.Networks;
    return [networks.own.Aliases, networks.bridge.Aliases];
  };
  expect(await aliases("/v1.44/containers/c/json")).toEqual([["web", "0123456789ab"], null]);
  expect(await aliases("/containers/c/json")).toEqual([["web"], null]);
});

import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer as createNetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { collect, fixture, Wire } from "./http.suite.ts";
import { parseListen } from "./listen.ts";
import { type Reply, type Route, serve } from "./mod.ts";

const get = (path: Route["path"], reply: Reply): Route => ({ method: "GET", path, handle: () => reply });
const plain = (path: string, method = "GET", extra = "", body = "") =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\n${extra}${body ? `Content-Length: ${body.length}\r\n` : ""}\r\n${body}`;
const echo: Route = {
  method: "POST",
  path: "/echo/{name*}",
  handle: async (r) => ({
    kind: "json",
    status: 201,
    body: { body: (await r.json(1000)) ?? null, v: r.apiVersion, q: r.query.get("q"), name: r.params["name"] },
  }),
};

test("routes, version prefix, query, JSON body, common headers, and a connection that is used again", async () => {
  await using f = await fixture([echo, get("/empty", { kind: "empty", status: 204 })], { headers: { "X-All": "yes" } });
  const wire = new Wire(f.path);
  wire.send(plain("/v1.24/echo/a//b?q=a+b%21", "POST", "", '{"a":1}'));
  const first = await wire.text("}\n");
  expect(first).toStartWith("HTTP/1.1 201 Created\r\n");
  expect(first).toContain("X-All: yes\r\n");
  expect(first).toEndWith('{"body":{"a":1},"v":"1.24","q":"a b!","name":"a//b"}\n');
  wire.received = "";
  wire.send(plain("/echo/x", "POST"));
  expect(await wire.text("}\n")).toEndWith('{"body":null,"v":"1.51","q":null,"name":"x"}\n');
  wire.received = "";
  wire.send(plain("/empty"));
  expect(await wire.text("\r\n\r\n")).toStartWith("HTTP/1.1 204 No Content\r\n");
  wire.socket.destroy();
});

test("bad bodies are refused, and the connection lives on", async () => {
  await using f = await fixture([echo]);
  const wire = new Wire(f.path);
  wire.send(plain("/echo/x", "POST", "", '{"a":'));
  expect(await wire.text("}\n")).toContain('{"message":"invalid JSON: ');
  wire.received = "";
  wire.send(plain("/echo/x", "POST", "", `"${"x".repeat(2000)}"`));
  expect(await wire.text("}\n")).toContain("request body too large: at most 1000 bytes are accepted here");
  wire.received = "";
  wire.send(plain("/echo/x", "POST", "Transfer-Encoding: chunked\r\n"));
  for (let i = 0; i < 200; i++) wire.send(`a\r\n${'"'.padEnd(10)}\r\n`);
  wire.send("0\r\n\r\n");
  expect(await wire.text("}\n")).toContain("request body too large");
  wire.received = "";
  wire.send(plain("/echo/x", "POST", "Transfer-Encoding: chunked\r\n")).send("1\r\n{\r\n");
  wire.send("1\r\n}\r\n0\r\n\r\n");
  expect(await wire.text("}\n")).toContain('"body":{}');
  wire.socket.destroy();
});

test("a path without a route, a method without a route, and bytes that are not HTTP", async () => {
  const missing = (r: { method: string; path: string }): Reply => ({ kind: "json", status: 404, body: r });
  await using f = await fixture([echo], { onMissing: missing });
  const wire = new Wire(f.path).send(plain("/v1.51/nothing?x"));
  expect(await wire.text("}\n")).toEndWith('{"method":"GET","path":"/nothing"}\n');
  wire.received = "";
  wire.send(plain("/echo/x", "PUT"));
  expect(await wire.text("}\n")).toEndWith('{"method":"PUT","path":"/echo/x"}\n');
  wire.received = "";
  wire.send(plain("/echo/%zz", "POST"));
  expect(await wire.text("}\n")).toContain("Malformed percent-encoding");
  wire.socket.destroy();
  expect(await new Wire(f.path).send("garbage\r\n\r\n").end()).toStartWith("HTTP/1.1 400 Bad Request\r\n");
});

test("HEAD sends the head of the GET and no body", async () => {
  let ran = false;
  const bytes = (async function* (): AsyncGenerator<Uint8Array> {
    ran = true;
    yield Buffer.from("x");
  })();
  const type = "text/plain";
  await using f = await fixture([
    get("/text", { kind: "text", status: 200, type, body: "hello" }),
    get("/stream", { kind: "stream", status: 200, type, bytes }),
    get("/end", { kind: "text", status: 200, type, body: "END" }),
  ]);
  const wire = new Wire(f.path);
  wire.send(plain("/text", "HEAD"));
  await wire.text("Content-Length: 5\r\n");
  wire.send(plain("/stream", "HEAD") + plain("/end"));
  const text = await wire.text("END");
  expect(text).not.toContain("hello");
  expect(ran).toBe(false);
  wire.socket.destroy();
});

test("a stream's headers leave before its first byte", async () => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const bytes = (async function* (): AsyncGenerator<Uint8Array> {
    await go;
    yield Buffer.from("first");
  })();
  await using f = await fixture([get("/s", { kind: "stream", status: 200, type: "a/b", bytes })]);
  const wire = new Wire(f.path).send(plain("/s"));
  expect(await wire.text("\r\n\r\n")).toContain("a/b");
  expect(wire.received).not.toContain("first");
  resolve();
  await wire.text("first\r\n0\r\n\r\n");
  wire.socket.destroy();
});

test("a client that does not read stops the producer; one that leaves returns it", async () => {
  const { promise: returned, resolve } = Promise.withResolvers<void>();
  let produced = 0;
  const bytes = (async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        produced += 1 << 20;
        yield Buffer.alloc(1 << 20);
      }
    } finally {
      resolve();
    }
  })();
  const signals: AbortSignal[] = [];
  await using f = await fixture([
    {
      method: "GET",
      path: "/flood",
      handle: (r) => {
        signals.push(r.signal);
        return { kind: "stream", status: 200, type: "a/b", bytes };
      },
    },
    get("/other", { kind: "text", status: 200, type: "a/b", body: "OTHER" }),
  ]);
  const wire = new Wire(f.path);
  wire.socket.pause();
  wire.send(plain("/flood"));
  for (let before = -1; before !== produced || produced === 0; ) {
    before = produced;
    for (let i = 0; i < 5; i++) {
      const other = new Wire(f.path).send(plain("/other"));
      await other.text("OTHER");
      other.socket.destroy();
    }
  }
  expect(produced).toBeLessThan(64 << 20);
  wire.socket.destroy();
  await returned;
  expect(signals[0]?.aborted).toBe(true);
  expect(f.errors).toEqual([]);
});

test("the signal of a handler that blocks, and of a stream that is silent, aborts when the client leaves", async () => {
  const events: string[] = [];
  const { promise: both, resolve } = Promise.withResolvers<void>();
  const note = (what: string) => {
    events.push(what);
    if (events.length === 2) resolve();
  };
  const wait = (signal: AbortSignal) => new Promise<void>((done) => signal.addEventListener("abort", () => done()));
  const blocked: Route["handle"] = async (r) => {
    await wait(r.signal);
    note("handler");
    throw r.signal.reason;
  };
  const silent: Route["handle"] = (r) => {
    const bytes = (async function* (): AsyncGenerator<Uint8Array> {
      try {
        await wait(r.signal);
        yield Buffer.from("");
      } finally {
        note("stream");
      }
    })();
    return { kind: "stream", status: 200, type: "a/b", bytes };
  };
  await using f = await fixture([
    { method: "GET", path: "/blocked", handle: blocked },
    { method: "GET", path: "/silent", handle: silent },
    get("/other", { kind: "text", status: 200, type: "a/b", body: "OTHER" }),
  ]);
  const a = new Wire(f.path).send(plain("/blocked"));
  const b = new Wire(f.path).send(plain("/silent"));
  await b.text("\r\n\r\n");
  await new Wire(f.path).send(plain("/other")).text("OTHER");
  a.socket.destroy();
  b.socket.destroy();
  await both;
  expect(events.sort()).toEqual(["handler", "stream"]);
});

test("a stream that fails in the middle breaks the connection and is told", async () => {
  const bytes = (async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from("part");
    throw new EngineError("internal", "disk on fire");
  })();
  await using f = await fixture([get("/s", { kind: "stream", status: 200, type: "a/b", bytes })]);
  const text = await new Wire(f.path).send(plain("/s")).end();
  expect(text).toContain("part");
  expect(text).not.toContain("0\r\n\r\n");
  expect(f.errors.map(String)).toEqual(["EngineError: disk on fire"]);
});

test("the body streams in with back-pressure, and may be left unread", async () => {
  const sum: Route = {
    method: "POST",
    path: "/sum",
    handle: async (r) => {
      let total = 0;
      for await (const chunk of r.body) total += chunk.length;
      return { kind: "json", status: 200, body: total };
    },
  };
  const ignore: Route = { method: "POST", path: "/ignore", handle: () => ({ kind: "empty", status: 200 }) };
  await using f = await fixture([sum, ignore]);
  const post = (path: string, size: number) =>
    new Promise<string>((resolve, reject) => {
      const sent = request({ socketPath: f.path, path, method: "POST" }, (res) => collect(res).then(resolve, reject));
      sent.on("error", reject);
      for (let at = 0; at < size; at += 1 << 20) sent.write(Buffer.alloc(1 << 20));
      sent.end();
    });
  expect(await post("/sum", 40 << 20)).toBe(`${40 << 20}\n`);
  const wire = new Wire(f.path).send(plain("/ignore", "POST", "", "x".repeat(100_000)));
  await wire.text("\r\n\r\n");
  wire.received = "";
  wire.send(plain("/sum", "POST", "", "abc"));
  expect(await wire.text("3\n")).toStartWith("HTTP/1.1 200");
  wire.socket.destroy();
});

test("a client that dies in the middle of its body fails the read", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const route: Route = {
    method: "POST",
    path: "/x",
    handle: async (r) => {
      await r.json().catch(resolve);
      return { kind: "empty", status: 200 };
    },
  };
  await using f = await fixture([route]);
  const wire = new Wire(f.path).send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
  wire.socket.end();
  expect(String(await promise)).toContain("went away in the middle");
});

test("files, whole, as ranges, by HEAD, empty, and missing", async () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-http-file-"));
  const path = join(directory, "f");
  const empty = join(directory, "e");
  writeFileSync(path, Buffer.alloc(3_000_000, "abcdefghij"));
  writeFileSync(empty, "");
  const file = { kind: "file", status: 200, path, type: "a/b" } as const;
  await using f = await fixture([
    get("/whole", file),
    get("/range", { ...file, status: 206, range: { start: 3, end: 6 } }),
    get("/empty", { ...file, path: empty }),
    get("/missing", { ...file, path: join(directory, "no") }),
  ]);
  const fetchFile = async (name: string, method = "GET") => {
    const response = await fetch(`http://x/${name}`, { unix: f.path, method });
    return { status: response.status, headers: response.headers, body: await response.text() };
  };
  const whole = await fetchFile("whole");
  expect(whole.body.length).toBe(3_000_000);
  expect(whole.body.slice(-12)).toBe("ijabcdefghij");
  const range = await fetchFile("range");
  expect([range.status, range.body, range.headers.get("content-range")]).toEqual([206, "defg", "bytes 3-6/3000000"]);
  const head = await fetchFile("whole", "HEAD");
  expect([head.body, head.headers.get("content-length")]).toEqual(["", "3000000"]);
  expect((await fetchFile("empty")).body).toBe("");
  expect((await fetchFile("missing")).status).toBe(500);
  rmSync(directory, { recursive: true });
});

test("disposal ends open streams and idle connections, lets answers finish, and removes the socket", async () => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  const bytes = (async function* (): AsyncGenerator<Uint8Array> {
    await new Promise(() => undefined);
    yield Buffer.from("never");
  })();
  const slow: Route["handle"] = async () => {
    ask();
    await go;
    return { kind: "text", status: 200, type: "a/b", body: "DONE" };
  };
  const f = await fixture([
    get("/s", { kind: "stream", status: 200, type: "a/b", bytes }),
    { method: "GET", path: "/slow", handle: slow },
  ]);
  const stream = new Wire(f.path).send(plain("/s"));
  await stream.text("\r\n\r\n");
  const waiting = new Wire(f.path).send(plain("/slow"));
  const idle = new Wire(f.path);
  await asked;
  const closed = f[Symbol.asyncDispose]();
  await stream.end();
  resolve();
  expect(await waiting.end()).toEndWith("DONE");
  await closed;
  await idle.end();
  expect(existsSync(f.path)).toBe(false);
});

test("unix socket: mode and group, a stale file is replaced, a served one and other files are not", async () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-http-sock-"));
  const path = join(directory, "s.sock");
  const options = { listen: `unix://${path}`, routes: [], onError: (): Reply => ({ kind: "empty", status: 500 }) };
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  Bun.spawnSync([process.execPath, "-e", script]);
  expect(existsSync(path)).toBe(true);
  const server = await serve({ ...options, socket: { mode: 0o660, gid: 12345 } });
  const stat = statSync(path);
  expect([stat.mode & 0o7777, stat.gid]).toEqual([0o660, 12345]);
  expect(serve(options)).rejects.toThrow("another process serves it");
  await server[Symbol.asyncDispose]();
  writeFileSync(path, "precious");
  expect(serve(options)).rejects.toThrow("is not a socket");
  rmSync(directory, { recursive: true });
});

test("TCP: port 0 chooses one and the address says which; a port in use is an error", async () => {
  const routes = [get("/x", { kind: "text", status: 200, type: "a/b", body: "tcp" })];
  const onError = (): Reply => ({ kind: "empty", status: 500 });
  await using server = await serve({ listen: "127.0.0.1:0", routes, onError });
  expect(server.address).toMatch(/^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
  expect(await (await fetch(`${server.address.replace("tcp", "http")}/x`)).text()).toBe("tcp");
  const other = createNetServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const port = (other.address() as { port: number }).port;
  expect(serve({ listen: `tcp://127.0.0.1:${port}`, routes, onError })).rejects.toThrow();
  other.close();
});

test("listen addresses", () => {
  expect(parseListen("unix:///a b")).toEqual({ kind: "unix", path: "/a b" });
  expect(parseListen("tcp://0.0.0.0:80")).toEqual({ kind: "tcp", host: "0.0.0.0", port: 80 });
  expect(parseListen("[::1]:80")).toEqual({ kind: "tcp", host: "::1", port: 80 });
  expect(parseListen(":80")).toEqual({ kind: "tcp", host: "0.0.0.0", port: 80 });
  for (const bad of ["unix://a", `unix:///${"x".repeat(120)}`, "tcp://x", "x:99999", "http://x:1", ""])
    expect(() => parseListen(bad)).toThrow("invalid listen address");
});

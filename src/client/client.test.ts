import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { kindOf } from "../errors/mod.ts";
import { type Route, serve } from "../http/mod.ts";
import type { Client } from "./client.ts";
import { connect } from "./mod.ts";

const directory = mkdtempSync("/tmp/berth-client-");
afterAll(() => rmSync(directory, { recursive: true }));

async function engine(routes: readonly Route[]): Promise<AsyncDisposable & { readonly client: Client }> {
  const listen = `unix://${directory}/${crypto.randomUUID().slice(0, 8)}.sock`;
  const server = await serve({
    listen,
    routes,
    versioned: { newest: "1.51" },
    onError: (err) => ({ kind: "json", status: 500, body: { message: String(err) } }),
  });
  return { client: connect(listen), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function failure(promise: Promise<unknown>): Promise<string> {
  const err = await promise.then(
    () => new Error("did not fail"),
    (thrown: unknown) => thrown,
  );
  return `${kindOf(err)}: ${(err as Error).message}`;
}

async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const get = (path: string) => ({ method: "GET", path }) as const;
const post = (path: string) => ({ method: "POST", path }) as const;

test("json, query and body", async () => {
  await using e = await engine([
    {
      method: "POST",
      path: "/echo/{name}",
      handle: async (request) => ({
        kind: "json",
        status: 200,
        body: {
          name: request.params["name"],
          query: request.query.toString(),
          body: await request.json(),
          version: request.apiVersion,
        },
      }),
    },
    { method: "GET", path: "/nothing", handle: () => ({ kind: "empty", status: 204 }) },
  ]);
  const query = { a: true, b: false, c: undefined, d: ["x", "y&z"], e: 5, f: [] };
  expect(await e.client.json<unknown>({ ...post("/echo/a%2Fb"), query, body: { k: 1 } })).toEqual({
    name: "a/b",
    query: "a=1&b=0&d=x&d=y%26z&e=5",
    body: { k: 1 },
    version: "1.51",
  });
  expect(await e.client.status(get("/nothing"))).toBe(204);
  expect(await e.client.json<unknown>(get("/nothing"))).toBeUndefined();
});

test("nobody listens, nobody may connect, nonsense for an address", async () => {
  const nobody = connect(`unix://${directory}/none.sock`);
  const told = `unavailable: Cannot connect to the Berth daemon at unix://${directory}/none.sock. Is the berth daemon running? (start one with: berth daemon)`;
  expect(await failure(nobody.json(get("/x")))).toBe(told);
  expect(await failure(nobody.hijack(post("/x")))).toBe(told);
  expect(await failure(connect("tcp://127.0.0.1:1").json(get("/x")))).toStartWith("unavailable: Cannot connect");
  expect(await failure(connect("tcp://127.0.0.1:1").hijack(post("/x")))).toStartWith("unavailable: Cannot connect");
  for (const host of ["", "ssh://x", "unix:", "nonsense"])
    expect(() => connect(host)).toThrow("unable to parse engine host");
  for (const host of ["/run/x.sock", "tcp://[::1]:5", "http://x"]) expect(connect(host).host).toBe(host);
});

test("a proxy in the environment is not for a socket", async () => {
  await using e = await engine([{ method: "GET", path: "/x", handle: () => ({ kind: "json", status: 200, body: 1 }) }]);
  const before = process.env["HTTP_PROXY"];
  process.env["HTTP_PROXY"] = "http://127.0.0.1:1";
  try {
    expect(await e.client.json<number>(get("/x"))).toBe(1);
  } finally {
    if (before === undefined) delete process.env["HTTP_PROXY"];
    else process.env["HTTP_PROXY"] = before;
  }
});

test.each([
  [400, "invalid"],
  [401, "unauthorized"],
  [403, "forbidden"],
  [404, "not-found"],
  [409, "conflict"],
  [500, "internal"],
  [501, "not-implemented"],
  [503, "unavailable"],
])("status %d is %s, with the engine's message", async (status, kind) => {
  const refusal = { kind: "json", status, body: { message: "because" } } as const;
  await using e = await engine([
    { method: "GET", path: "/x", handle: () => refusal },
    { method: "POST", path: "/x", handle: () => refusal },
  ]);
  const told = `${kind}: Error response from daemon: because`;
  expect(await failure(e.client.json(get("/x")))).toBe(told);
  expect(await failure(e.client.status(get("/x")))).toBe(told);
  expect(await failure(e.client.stream(get("/x")))).toBe(told);
  expect(await failure(e.client.lines(get("/x"))[Symbol.asyncIterator]().next())).toBe(told);
  expect(await failure(e.client.hijack(post("/x")))).toBe(told);
});

test("answers that are not JSON", async () => {
  const text = (status: number, body: string) => ({ kind: "text", status, type: "text/plain", body }) as const;
  await using e = await engine([
    { method: "GET", path: "/ok", handle: () => text(200, "<html>") },
    { method: "GET", path: "/bad", handle: () => text(502, "upstream is gone") },
    { method: "GET", path: "/empty", handle: () => text(500, "") },
  ]);
  expect(await failure(e.client.json(get("/ok")))).toContain("what is not JSON");
  expect(await failure(e.client.json(get("/bad")))).toBe("internal: Error response from daemon: upstream is gone");
  expect(await failure(e.client.json(get("/empty")))).toBe(
    "internal: Error response from daemon: status 500 without a message",
  );
});

test("lines arrive one by one, whatever the chunks, and characters are whole", async () => {
  const chunks = ['{"a":1}\n{"a"', ':2}\n\n{"text":"', "ä€", '"}'].map((text) => Buffer.from(text));
  const split = [
    ...chunks.slice(0, 2),
    Buffer.from("ä€").subarray(0, 3),
    Buffer.from("ä€").subarray(3),
    Buffer.from('"}'),
  ];
  await using e = await engine([
    {
      method: "GET",
      path: "/lines",
      handle: () => ({
        kind: "stream",
        status: 200,
        type: "application/json",
        bytes: (async function* () {
          yield* [split[0], Buffer.from(':2}\n\n{"text":"'), ...split.slice(2)] as Buffer[];
        })(),
      }),
    },
  ]);
  const found: unknown[] = [];
  for await (const line of e.client.lines<unknown>(get("/lines"))) found.push(line);
  expect(found).toEqual([{ a: 1 }, { a: 2 }, { text: "ä€" }]);
});

test("a big body is streamed, and an engine that refuses it early is heard", async () => {
  await using e = await engine([
    {
      method: "POST",
      path: "/size",
      handle: async (request) => {
        let size = 0;
        for await (const chunk of request.body) size += chunk.length;
        return { kind: "json", status: 200, body: size };
      },
    },
    { method: "POST", path: "/no", handle: () => ({ kind: "json", status: 400, body: { message: "too early" } }) },
  ]);
  const bytes = async function* () {
    for (let at = 0; at < 300; at++) yield new Uint8Array(1 << 16);
  };
  expect(await e.client.json<number>({ ...post("/size"), bytes: bytes(), contentType: "application/x-tar" })).toBe(
    300 << 16,
  );
  expect(await failure(e.client.json({ ...post("/no"), bytes: bytes() }))).toBe(
    "invalid: Error response from daemon: too early",
  );
  const broken = async function* () {
    yield new Uint8Array(10);
    throw new Error("the file is gone");
  };
  expect(await failure(e.client.json({ ...post("/size"), bytes: broken() }))).toContain("the file is gone");
});

test("a connection that breaks is an error of its own", async () => {
  const path = `${directory}/broken.sock`;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
      setTimeout(() => socket.destroy(), 20);
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(path, () => listening.resolve());
  await listening.promise;
  const client = connect(path);
  expect(await failure(client.json(get("/x")))).toContain(`the connection to the Berth daemon at ${path} broke`);
  expect(await failure(client.stream(get("/x")).then(({ bytes }) => textOf(bytes)))).toContain("broke");
  server.close();
});

test("what is no HTTP, or closes at once", async () => {
  const speaking = async (text: string) => {
    const path = `${directory}/${crypto.randomUUID().slice(0, 8)}.sock`;
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.end(text));
    });
    const listening = Promise.withResolvers<void>();
    server.listen(path, () => listening.resolve());
    await listening.promise;
    return { client: connect(path), [Symbol.dispose]: () => void server.close() };
  };
  using ssh = await speaking("SSH-2.0-OpenSSH\r\n\r\n");
  expect(await failure(ssh.client.hijack(post("/x")))).toContain("does not speak HTTP");
  using closing = await speaking("");
  expect(await failure(closing.client.hijack(post("/x")))).toContain("did not answer");
  using chunked = await speaking(
    'HTTP/1.1 500 X\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n{"message":"why"}\r\n0\r\n\r\n',
  );
  expect(await failure(chunked.client.hijack(post("/x")))).toBe("internal: Error response from daemon: why");
});

test("a wait gives its head at once and can be given up", async () => {
  await using e = await engine([
    {
      method: "POST",
      path: "/wait",
      handle: (request) => ({
        kind: "stream",
        status: 200,
        type: "application/json",
        bytes: (async function* (): AsyncGenerator<Uint8Array> {
          await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
        })(),
      }),
    },
  ]);
  const abort = new AbortController();
  const { bytes } = await e.client.stream({ ...post("/wait"), signal: abort.signal });
  const reading = failure(textOf(bytes));
  abort.abort();
  expect(await reading).toBe("canceled: canceled");
  expect(await failure(e.client.json({ ...post("/wait"), signal: AbortSignal.abort() }))).toBe("canceled: canceled");
});

test("a hijacked connection: both ways, half-closed, with a big output", async () => {
  await using e = await engine([
    {
      method: "POST",
      path: "/attach",
      handle: () => ({
        kind: "hijack",
        type: "application/vnd.docker.raw-stream",
        async run(socket) {
          await socket.write(Buffer.from("first "));
          let size = 0;
          for await (const chunk of socket.input) size += chunk.length;
          await socket.write(Buffer.from(`got ${size} `));
          for (let at = 0; at < 64; at++) await socket.write(new Uint8Array(1 << 16));
        },
      }),
    },
  ]);
  const stream = await e.client.hijack({ ...post("/attach"), body: { Tty: true } });
  expect(stream.contentType).toBe("application/vnd.docker.raw-stream");
  for (let at = 0; at < 64; at++) await stream.write(new Uint8Array(1 << 16));
  stream.end();
  const text = await textOf(stream.output);
  expect(text).toStartWith(`first got ${64 << 16} `);
  expect(text.length).toBe(`first got ${64 << 16} `.length + (64 << 16));
  stream.close();
});

test("output survives input that nobody takes any more", async () => {
  const path = `${directory}/gone.sock`;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(`HTTP/1.1 101 UPGRADED\r\nContent-Type: x\r\n\r\n${"y".repeat(100_000)}`, () => socket.destroy());
    });
  });
  const listening = Promise.withResolvers<void>();
  server.listen(path, () => listening.resolve());
  await listening.promise;
  const stream = await connect(path).hijack(post("/attach"));
  let taken = true;
  while (taken) taken = await stream.write(new Uint8Array(1 << 16));
  expect((await textOf(stream.output)).length).toBe(100_000);
  stream.close();
  server.close();
});

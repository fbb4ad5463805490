import { expect, test } from "bun:test";
import { collect, fixture, Wire } from "./http.suite.ts";
import type { HijackedSocket, Route } from "./mod.ts";

const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
const post = (path: string, headers: string, body = "") =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
const route = (path: Route["path"], run: (socket: HijackedSocket, body: unknown) => Promise<void>): Route => ({
  method: "POST",
  path,
  handle: async (r) => {
    const body = await r.json();
    return { kind: "hijack", type: "application/vnd.docker.raw-stream", run: (socket) => run(socket, body) };
  },
});
/** Says what it was asked, echoes, and has a last word after the client's half-close. */
const echo = route("/echo", async (socket, body) => {
  await socket.write(Buffer.from(`asked ${JSON.stringify(body ?? null)};`));
  for await (const chunk of socket.input) await socket.write(Buffer.from(`<${Buffer.from(chunk)}>`));
  await socket.write(Buffer.from("late output"));
});
const ok: Route = {
  method: "GET",
  path: "/ok",
  handle: () => ({ kind: "text", status: 200, type: "a/b", body: "FINE" }),
};
const fail: Route = {
  method: "POST",
  path: "/fail",
  handle: () => ({ kind: "json", status: 409, body: { message: "not running" } }),
};

test("101 with its headers, body on the request, both ways, half-close, late output; on a used connection", async () => {
  await using f = await fixture([echo, ok], { headers: { Server: "Berth" } });
  const wire = new Wire(f.path).send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
  await wire.text("FINE");
  wire.received = "";
  wire.send(post("/v1.41/echo", upgrade, '{"Tty":true}'));
  const head = await wire.text('asked {"Tty":true};');
  expect(head).toStartWith("HTTP/1.1 101 UPGRADED\r\n");
  for (const line of [
    "Connection: Upgrade",
    "Upgrade: tcp",
    "Content-Type: application/vnd.docker.raw-stream",
    "Server: Berth",
  ])
    expect(head).toContain(`${line}\r\n`);
  wire.send("one");
  await wire.text("<one>");
  wire.socket.end("two");
  const text = await wire.end();
  expect(text).toContain("<two>");
  expect(text).toEndWith("late output");
});

test("input that came with the request is not lost, whatever the framing", async () => {
  await using f = await fixture([echo]);
  const together = new Wire(f.path);
  together.socket.end(`${post("/echo", upgrade, "{}")}early`);
  expect(await together.end()).toEndWith("asked {};<early>late output");
  const chunked = new Wire(f.path);
  chunked.socket.end(
    `POST /echo HTTP/1.1\r\nHost: x\r\n${upgrade}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\nearly`,
  );
  expect(await chunked.end()).toEndWith("asked {};<early>late output");
  const bodiless = new Wire(f.path);
  bodiless.socket.end(`POST /echo HTTP/1.1\r\nHost: x\r\n${upgrade}\r\nearly`);
  expect(await bodiless.end()).toEndWith("asked null;<early>late output");
  const silent = new Wire(f.path);
  silent.socket.end(post("/echo", upgrade));
  expect(await silent.end()).toEndWith("asked null;late output");
});

test("the head is there before anything is written", async () => {
  await using f = await fixture([
    route("/quiet", async (socket) => {
      for await (const chunk of socket.input) await socket.write(chunk);
    }),
  ]);
  const wire = new Wire(f.path).send(post("/quiet", upgrade));
  expect(await wire.text("\r\n\r\n")).toEndWith("Upgrade: tcp\r\n\r\n");
  wire.socket.end("go");
  expect(await wire.end()).toEndWith("\r\n\r\ngo");
});

test("without Upgrade: 200, raw bytes, end of stream at the end", async () => {
  await using f = await fixture([
    route("/out", async (socket) => {
      for (const part of ["a", "b", "c"]) await socket.write(Buffer.from(part));
    }),
  ]);
  const text = await new Wire(f.path).send(post("/out", "", "{}")).end();
  expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
  expect(text).not.toContain("chunked");
  expect(text).toEndWith("\r\n\r\nabc");
});

test("without Upgrade: a request body is the input", async () => {
  const cat: Route = {
    method: "POST",
    path: "/cat",
    handle: () => ({
      kind: "hijack",
      type: "a/b",
      run: async (socket) => socket.write(Buffer.from(await collect(socket.input))),
    }),
  };
  await using f = await fixture([cat]);
  const wire = new Wire(f.path).send("POST /cat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await wire.text("200 OK");
  wire.send("3\r\ndef\r\n0\r\n\r\n");
  expect(await wire.end()).toEndWith("abcdef");
});

test("an upgrade request may get an ordinary answer", async () => {
  await using f = await fixture([fail, ok]);
  const text = await new Wire(f.path).send(post("/fail", upgrade, "{}")).end();
  expect(text).toStartWith("HTTP/1.1 409 Conflict\r\n");
  expect(text).toEndWith('\r\n\r\n{"message":"not running"}\n');
  const h2c = `GET /ok HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n\r\n`;
  expect(await new Wire(f.path).send(h2c).end()).toEndWith("FINE");
});

test("a client that leaves aborts the signal, also after it half-closed, and writes reject", async () => {
  for (const first of ["half-close", "nothing"]) {
    const outcome = Promise.withResolvers<string>();
    await using f = await fixture([
      route("/hang", async (socket) => {
        await socket.write(Buffer.from("ready"));
        await new Promise<void>((resolve) => socket.signal.addEventListener("abort", () => resolve()));
        await socket.write(Buffer.from("x")).catch((err) => outcome.resolve(String(err)));
        throw new Error("handlers may throw when nobody listens");
      }),
    ]);
    const wire = new Wire(f.path).send(post("/hang", upgrade));
    await wire.text("ready");
    if (first === "half-close") await new Promise<void>((resolve) => wire.socket.end(resolve));
    wire.socket.destroy();
    expect(await outcome.promise).toContain("The client went away");
    expect(f.errors).toEqual([]);
  }
});

test("write waits for a client that does not read", async () => {
  let written = 0;
  const stopped = Promise.withResolvers<void>();
  await using f = await fixture([
    route("/flood", async (socket) => {
      try {
        for (;;) {
          await socket.write(Buffer.alloc(1 << 20));
          written += 1 << 20;
        }
      } finally {
        stopped.resolve();
      }
    }),
    ok,
  ]);
  const wire = new Wire(f.path);
  wire.socket.pause();
  wire.send(post("/flood", upgrade));
  for (let before = -1; before !== written; ) {
    before = written;
    for (let i = 0; i < 5; i++) {
      const other = new Wire(f.path).send("GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
      await other.text("FINE");
      other.socket.destroy();
    }
  }
  expect(written).toBeLessThan(64 << 20);
  wire.socket.destroy();
  await stopped.promise;
});

test("what run leaves in the socket arrives before the end, and a failing run breaks the connection", async () => {
  const big = 5_000_000;
  await using f = await fixture([
    route("/big", (socket) => socket.write(Buffer.alloc(big, "x"))),
    route("/bad", async () => {
      throw new Error("boom");
    }),
  ]);
  const text = await new Wire(f.path).send(post("/big", upgrade)).end();
  expect(text.length - text.indexOf("\r\n\r\n") - 4).toBe(big);
  await new Wire(f.path).send(post("/bad", upgrade)).end();
  expect(f.errors.map(String)).toEqual(["Error: boom"]);
});

test("disposal does not hang on a hijacked connection", async () => {
  const f = await fixture([route("/hang", (socket) => collect(socket.input).then(() => undefined))]);
  const wire = new Wire(f.path).send(post("/hang", upgrade));
  await wire.text("101");
  await f[Symbol.asyncDispose]();
  await wire.end();
});

import { expect, test } from "bun:test";
import { type Fixture, fixture, Wire } from "./http.suite.ts";
import type { HijackedSocket, Route } from "./mod.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const ping: Route = { method: "GET", path: "/ping", handle: () => ({ kind: "empty", status: 204 }) };
const get = "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n";

/** Sends back what comes, in angle brackets at both ends. */
async function echo({ input, write }: HijackedSocket): Promise<void> {
  await write(Buffer.from("<"));
  for await (const chunk of input) await write(chunk);
  await write(Buffer.from(">"));
}

const open = (): Promise<Fixture> => fixture([ping], { http2: echo });

test("a connection that begins with HTTP/2's preface is handed over whole, and ends by halves", async () => {
  await using f = await open();
  const wire = new Wire(f.path);
  wire.send(`${preface}first`);
  expect(await wire.text("first")).toBe(`<${preface}first`);
  wire.send("second");
  await wire.text("second");
  wire.socket.end();
  expect(await wire.end()).toBe(`<${preface}firstsecond>`);
});

test("the preface byte by byte", async () => {
  await using f = await open();
  const wire = new Wire(f.path);
  for (const byte of preface) {
    wire.send(byte);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  wire.send("rest");
  expect(await wire.text("rest")).toBe(`<${preface}rest`);
  wire.socket.destroy();
});

test("megabytes both ways, with a client that reads late", async () => {
  await using f = await open();
  const wire = new Wire(f.path);
  wire.socket.pause();
  const piece = "x".repeat(1024 * 1024);
  wire.send(preface);
  for (let at = 0; at < 8; at++) wire.send(piece);
  wire.socket.end();
  wire.socket.resume();
  expect((await wire.end()).length).toBe(preface.length + 8 * piece.length + 2);
});

test("nothing is handed over where nobody wants it, after a request, or for less than the preface", async () => {
  await using without = await fixture([ping]);
  await using f = await open();
  expect(await new Wire(without.path).send(preface).end()).toStartWith("HTTP/1.1 400 ");
  const used = new Wire(f.path).send(get);
  await used.text("\r\n\r\n");
  used.received = "";
  expect(await used.send(preface).end()).toStartWith("HTTP/1.1 400 ");
  for (const other of ["PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n", "PRI / HTTP/2.0\r\n\r\n", "\0\0\0\x04\0\0\0\0\0"])
    expect(await new Wire(f.path).send(other).end()).not.toContain("<");
});

test("many that stall in the middle of the preface hold up nobody", async () => {
  await using f = await open();
  const stalled = Array.from({ length: 200 }, (_, at) => new Wire(f.path).send(preface.slice(0, 1 + (at % 23))));
  expect(await new Wire(f.path).send(get).text("\r\n\r\n")).toStartWith("HTTP/1.1 204 ");
  expect(await new Wire(f.path).send(`${preface}x`).text("x")).toBe(`<${preface}x`);
  for (const { socket } of stalled) socket.destroy();
});

test("the server's end is the connection's; a handler that fails ends its own", async () => {
  const f = await open();
  const wire = new Wire(f.path).send(preface);
  await wire.text("<");
  await f[Symbol.asyncDispose]();
  await wire.end();
  const http2 = async () => {
    throw new Error("broken");
  };
  await using failing = await fixture([ping], { http2 });
  expect(await new Wire(failing.path).send(preface).end()).toBe("");
});

// Bun ends a connection that has no whole request after 10 to 12 seconds.
test("a connection that says nothing for long stays", async () => {
  await using f = await open();
  const wire = new Wire(f.path).send(preface);
  await wire.text("<");
  await new Promise((resolve) => setTimeout(resolve, 14_000));
  wire.send("still here");
  expect(await wire.text("here")).toBe(`<${preface}still here`);
  wire.socket.destroy();
}, 60_000);

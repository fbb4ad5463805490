import { expect, test } from "bun:test";
import { fixture, Wire } from "./http.suite.ts";
import type { HijackedSocket, Route } from "./mod.ts";

const key = "dGhlIHNhbXBsZSBub25jZQ==";
const asks = (over: Readonly<Record<string, string>> = {}) => {
  const all = { Connection: "keep-alive, Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
  return Object.entries({ ...all, "Sec-WebSocket-Key": key, ...over })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
};
const get = (headers: string) => `GET /ws HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;

function route(
  run: (socket: HijackedSocket) => Promise<void>,
  over: { kind?: "text"; abandon?: () => void } = {},
): Route {
  const { kind: messages = "binary", ...rest } = over;
  return { method: "GET", path: "/ws", handle: () => ({ kind: "websocket", messages, run, ...rest }) };
}

const echo = route(async (socket) => {
  for await (const chunk of socket.input) await socket.write(chunk);
});

test("the handshake of RFC 6455, both ways, and a close that is answered, with a real client", async () => {
  await using f = await fixture([echo]);
  const client = new WebSocket(`ws+unix://${f.path}:/ws`);
  client.binaryType = "arraybuffer";
  const got = Promise.withResolvers<string>();
  client.onmessage = ({ data }) => got.resolve(Buffer.from(data as ArrayBuffer).toString());
  client.onopen = () => client.send("there and back");
  expect(await got.promise).toBe("there and back");
  const closed = Promise.withResolvers<number>();
  client.onclose = ({ code }) => closed.resolve(code);
  client.close();
  expect([1000, 1005]).toContain(await closed.promise);
});

test("the head, an answered ping, a protocol, and the end of the handler is the end of the connection", async () => {
  await using f = await fixture([route(async (socket) => void (await socket.input[Symbol.asyncIterator]().next()))]);
  const wire = new Wire(f.path).send(get(asks({ "Sec-WebSocket-Protocol": "one, two" })));
  const head = await wire.text("\r\n\r\n");
  expect(head).toStartWith("HTTP/1.1 101 Switching Protocols\r\n");
  expect(head).toContain("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
  expect(head).toContain("Sec-WebSocket-Protocol: one\r\n");
  wire.socket.write(Buffer.from("8982000000006869", "hex"));
  await wire.text("\x8a\x02hi");
  wire.socket.write(Buffer.from("82810000000078", "hex"));
  expect(await wire.end()).toEndWith("\x88\x02\x03\xe8");
});

test("text is valid in every message, also when a character comes in two writes", async () => {
  const snow = Buffer.from("☃!");
  const halves = route(
    async (socket) => {
      await socket.write(snow.subarray(0, 2));
      await socket.write(snow.subarray(2));
    },
    { kind: "text" },
  );
  await using f = await fixture([halves]);
  const wire = new Wire(f.path).send(get(asks()));
  const all = await wire.end();
  expect(Buffer.from(all.slice(all.indexOf("\r\n\r\n") + 4), "latin1")).toEqual(
    Buffer.from([0x81, 4, ...snow, 0x88, 2, 0x03, 0xe8]),
  );
});

test("what breaks the protocol is closed with 1002", async () => {
  await using f = await fixture([echo]);
  const wire = new Wire(f.path).send(get(asks()));
  await wire.text("\r\n\r\n");
  wire.socket.write(Buffer.from("820178", "hex"));
  expect(await wire.end()).toEndWith("\x88\x02\x03\xea");
});

test("a request for anything else is refused, and whoever prepared for it is told", async () => {
  let abandoned = 0;
  await using f = await fixture([route(async () => undefined, { abandon: () => abandoned++ })]);
  for (const headers of ["", asks({ "Sec-WebSocket-Version": "8" }), asks({ "Sec-WebSocket-Key": "short" })]) {
    const wire = new Wire(f.path).send(get(headers));
    expect(await wire.text("}\n")).toContain("Not a WebSocket's request");
    expect(wire.received).toStartWith("HTTP/1.1 400 ");
    wire.socket.destroy();
  }
  expect(abandoned).toBe(3);
});

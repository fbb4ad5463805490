import { afterAll, beforeAll, expect, test } from "bun:test";
import { call, dial } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

interface Attached {
  readonly socket: WebSocket;
  /** Everything that has come, and whether each message was text. */
  readonly text: string;
  readonly kinds: ReadonlySet<string>;
  readonly closed: Promise<number>;
  readonly opened: Promise<void>;
}

function attach(path: string): Attached {
  const socket = new WebSocket(`ws+unix://${engine.host.replace("unix://", "")}:${path}`);
  socket.binaryType = "arraybuffer";
  let text = "";
  const kinds = new Set<string>();
  const closed = Promise.withResolvers<number>();
  const opened = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => {
    kinds.add(typeof data === "string" ? "text" : "binary");
    text += typeof data === "string" ? data : Buffer.from(data as ArrayBuffer).toString();
  };
  socket.onopen = () => opened.resolve();
  socket.onclose = ({ code }) => closed.resolve(code);
  socket.onerror = () => opened.reject(new Error(`no WebSocket at ${path}`));
  return {
    ...{ socket, kinds, closed: closed.promise, opened: opened.promise },
    get text() {
      return text;
    },
  };
}

test("input, both outputs without frames, and the process's end is a clean close", async () => {
  const script = "read line; echo got $line; echo err >&2; exit 3";
  const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", script);
  const attached = attach(`/v1.51/containers/${id}/attach/ws?stream=1&stdin=1&stdout=1&stderr=1`);
  await attached.opened;
  attached.socket.send("hello\n");
  expect(await attached.closed).toBe(1000);
  expect(attached.text.split("\n").sort()).toEqual(["", "err", "got hello"]);
  expect([...attached.kinds]).toEqual(["binary"]);
  expect(await engine.ok("wait", id)).toBe("3");
  await engine.ok("rm", id);
});

test("before 1.42 all streams whatever was asked for, before 1.28 in text messages, with what was logged before", async () => {
  const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", "echo früher; read x; echo $x");
  await until("the first line is logged", async () => (await engine.ok("logs", id)) === "früher");
  const attached = attach(`/v1.27/containers/${id}/attach/ws?stream=1&logs=1&stdin=0&stdout=1`);
  await attached.opened;
  attached.socket.send("später\n");
  await attached.closed;
  expect(attached.text).toBe("früher\nspäter\n");
  expect([...attached.kinds]).toEqual(["text"]);
  await engine.ok("rm", "-f", id);
});

test("what was not asked for does not come, from 1.42 on", async () => {
  const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", "read x; echo out; echo err >&2");
  const attached = attach(`/v1.42/containers/${id}/attach/ws?stream=1&stdin=1&stderr=1`);
  await attached.opened;
  attached.socket.send("\n");
  await attached.closed;
  expect(attached.text).toBe("err\n");
  await engine.ok("rm", "-f", id);
});

test("a terminal: detach keys close the connection and leave the container", async () => {
  const id = await engine.ok("run", "-dit", "busybox", "sh");
  const attached = attach(`/v1.51/containers/${id}/attach/ws?stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x`);
  await attached.opened;
  attached.socket.send("echo is-$((40+2))\n");
  await until("the shell answers", () => attached.text.includes("is-42"));
  attached.socket.send("\x01x");
  expect(await attached.closed).toBe(1000);
  expect(await engine.ok("inspect", "-f", "{{.State.Running}}", id)).toBe("true");
  await engine.ok("rm", "-f", id);
});

test("a megabyte in one message, and a client that closes leaves the container alone", async () => {
  const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", "head -c 1000000 | wc -c; sleep 1000");
  const attached = attach(`/v1.51/containers/${id}/attach/ws?stream=1&stdin=1&stdout=1`);
  await attached.opened;
  attached.socket.send(Buffer.alloc(1_000_000, "x"));
  await until("it was counted", () => attached.text === "1000000\n");
  attached.socket.close();
  await attached.closed;
  expect(await engine.ok("inspect", "-f", "{{.State.Running}}", id)).toBe("true");
  await engine.ok("rm", "-f", id);
});

test("no such container, bad keys and what is no WebSocket are answers; nobody is left waiting for its output", async () => {
  const id = await engine.ok("run", "-d", "-i", "busybox", "sh", "-c", "read x; yes | head -c 8000000 | wc -c; exit 5");
  expect((await call(engine, "GET /containers/nobody/attach/ws")).status).toBe(404);
  expect((await call(engine, `GET /containers/${id}/attach/ws?stream=1&stdout=1&detachKeys=ctrl-1`)).status).toBe(400);
  const refused = await call(engine, `GET /containers/${id}/attach/ws?stream=1&stdout=1&stdin=1`);
  expect(refused).toMatchObject({
    status: 400,
    json: { message: expect.stringContaining("Not a WebSocket's request") },
  });
  const garbage = await dial(engine);
  const heads = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}\r\n`;
  garbage.write(`GET /containers/${id}/attach/ws?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\n${heads}${key}\r\n`);
  let head = "";
  garbage.on("data", (bytes) => (head += bytes.toString("latin1")));
  await until("the upgrade", () => head.includes("\r\n\r\n"));
  garbage.write("this is no frame at all");
  await until("a close for a broken protocol", () => head.endsWith("\x88\x02\x03\xea"));
  const last = attach(`/v1.51/containers/${id}/attach/ws?stream=1&stdin=1&stdout=1`);
  await last.opened;
  last.socket.send("\n");
  await last.closed;
  expect(last.text).toBe("8000000\n");
  expect(await engine.ok("wait", id)).toBe("5");
  await engine.ok("rm", id);
});

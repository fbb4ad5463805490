import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Forwarder } from "./forward.ts";
import { codeOf, encodeName } from "./message.ts";
import { parseResolvConf } from "./resolvers.ts";
import { messages, withLength } from "./stream.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-forward-"));
const resolvConf = join(directory, "resolv.conf");
const undo: Disposable[] = [];
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => {
  for (const one of undo.splice(0)) one[Symbol.dispose]();
  rmSync(resolvConf, { force: true });
});

function query(name: string, id = 0xabcd): Buffer {
  const header = Buffer.from([id >> 8, id & 255, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, encodeName(name), Buffer.from([0, 1, 0, 1])]);
}

/** The query as an answer with this code, and a mark of who gave it. */
function reply(asked: Uint8Array, code = 0, mark = 0): Buffer {
  const bytes = Buffer.from(asked);
  bytes[2] = 0x81;
  bytes[3] = 0x80 | code;
  return Buffer.concat([bytes, Buffer.of(mark)]);
}

type Behaviour = (asked: Buffer) => Buffer | readonly Buffer[] | undefined;

/** Another resolver on an address of the loopback. The first one chooses the port. */
async function upstream(address: string, port: number, behave: Behaviour): Promise<number> {
  const socket = await Bun.udpSocket({
    hostname: address,
    port,
    socket: {
      data: (own, bytes, fromPort, from) => {
        for (const one of [behave(bytes) ?? []].flat()) own.send(one, fromPort, from);
      },
    },
  });
  undo.push({ [Symbol.dispose]: () => socket.close() });
  return socket.port;
}

const forwarded = { holder: "web", upstreams: [], stream: false };
const mark = (answer: Uint8Array | undefined) => answer?.at(-1);

function servers(...lines: readonly string[]): void {
  writeFileSync(resolvConf, lines.map((line) => (/^[\d:]/.test(line) ? `nameserver ${line}\n` : `${line}\n`)).join(""));
}

describe("several resolvers", () => {
  test("a silent one is passed over, and asked last from then on", async () => {
    let asked = 0;
    const port = await upstream("127.0.0.2", 0, () => void asked++);
    await upstream("127.0.0.3", port, (bytes) => reply(bytes, 0, 3));
    servers("127.0.0.2", "127.0.0.3", "options timeout:1");
    const forwarder = new Forwarder({ resolvConf, port });
    expect(mark(await forwarder.ask(query("a"), forwarded))).toBe(3);
    for (let round = 0; round < 20; round++) expect(mark(await forwarder.ask(query("b"), forwarded))).toBe(3);
    expect(asked).toBe(1);
  });

  test("one where nobody listens, and one that fails or refuses, lead to the next", async () => {
    const port = await upstream("127.0.0.2", 0, (bytes) => reply(bytes, 2, 2));
    await upstream("127.0.0.4", port, (bytes) => reply(bytes, 0, 4));
    servers("127.0.0.3", "127.0.0.2", "127.0.0.4");
    const forwarder = new Forwarder({ resolvConf, port });
    expect(mark(await forwarder.ask(query("a"), forwarded))).toBe(4);
    servers("127.0.0.3", "127.0.0.2");
    const failed = await new Forwarder({ resolvConf, port }).ask(query("a"), forwarded);
    expect(failed && codeOf(failed)).toBe(2);
    servers("127.0.0.3");
    expect(await new Forwarder({ resolvConf, port }).ask(query("a"), forwarded)).toBeUndefined();
  });

  test("a name that is not there is an answer", async () => {
    const port = await upstream("127.0.0.2", 0, (bytes) => reply(bytes, 3));
    await upstream("127.0.0.3", port, (bytes) => reply(bytes));
    servers("127.0.0.2", "127.0.0.3");
    const found = await new Forwarder({ resolvConf, port }).ask(query("a"), forwarded);
    expect(found && codeOf(found)).toBe(3);
  });

  test("take turns where the host wants it, and the container's own go before the host's", async () => {
    const port = await upstream("127.0.0.2", 0, (bytes) => reply(bytes, 0, 2));
    for (const last of [3, 4]) await upstream(`127.0.0.${last}`, port, (bytes) => reply(bytes, 0, last));
    servers("127.0.0.2", "127.0.0.3", "options rotate");
    const forwarder = new Forwarder({ resolvConf, port });
    const marks = [];
    for (let round = 0; round < 4; round++) marks.push(mark(await forwarder.ask(query("a"), forwarded)));
    expect(marks).toEqual([2, 3, 2, 3]);
    expect(mark(await forwarder.ask(query("a"), { ...forwarded, upstreams: ["127.0.0.4"] }))).toBe(4);
  });

  test("IPv6 ones are asked, too", async () => {
    const port = await upstream("::1", 0, (bytes) => reply(bytes, 0, 6));
    servers("::1");
    expect(mark(await new Forwarder({ resolvConf, port }).ask(query("a"), forwarded))).toBe(6);
  });

  test("a changed resolv.conf counts at once", async () => {
    const port = await upstream("127.0.0.2", 0, (bytes) => reply(bytes, 0, 2));
    await upstream("127.0.0.3", port, (bytes) => reply(bytes, 0, 3));
    servers("127.0.0.2");
    const forwarder = new Forwarder({ resolvConf, port });
    expect(mark(await forwarder.ask(query("a"), forwarded))).toBe(2);
    await Bun.sleep(5);
    servers("127.0.0.3");
    expect(mark(await forwarder.ask(query("a"), forwarded))).toBe(3);
  });
});

describe("hostile answers", () => {
  const wrong: Record<string, Behaviour> = {
    "another id": (bytes) => Buffer.concat([Buffer.of(bytes.readUInt8(0) ^ 1), reply(bytes, 0, 66).subarray(1)]),
    "another question": (bytes) =>
      Buffer.concat([reply(bytes).subarray(0, 12), encodeName("evil"), Buffer.of(0, 1, 0, 1)]),
    "a query": (bytes) => bytes,
    "half a header": (bytes) => reply(bytes).subarray(0, 7),
    nothing: () => Buffer.alloc(0),
    "loops of names": (bytes) => Buffer.concat([reply(bytes).subarray(0, 12), Buffer.alloc(20_000, 0xc0)]),
  };
  test.each(Object.entries(wrong))("%s is not believed, the right one behind it is", async (_, behave) => {
    const port = await upstream("127.0.0.2", 0, (bytes) => [behave(bytes) ?? [], reply(bytes, 0, 7)].flat());
    servers("127.0.0.2");
    const found = await new Forwarder({ resolvConf, port }).ask(query("a", 0x1234), forwarded);
    expect([mark(found), found && Buffer.from(found).readUInt16BE(0)]).toEqual([7, 0x1234]);
  });

  test("one from another address is not seen", async () => {
    const spoof = await Bun.udpSocket({ hostname: "127.0.0.9", socket: { error: () => undefined } });
    undo.push({ [Symbol.dispose]: () => spoof.close() });
    const socket = await Bun.udpSocket({
      hostname: "127.0.0.2",
      socket: {
        data: (own, bytes, fromPort, from) => {
          spoof.send(reply(bytes, 0, 66), fromPort, from);
          setTimeout(() => own.send(reply(bytes, 0, 7), fromPort, from), 50);
        },
      },
    });
    undo.push({ [Symbol.dispose]: () => socket.close() });
    servers("127.0.0.2");
    expect(mark(await new Forwarder({ resolvConf, port: socket.port }).ask(query("a"), forwarded))).toBe(7);
  });

  test("the letters' case may have changed", async () => {
    const port = await upstream("127.0.0.2", 0, (bytes) =>
      Buffer.concat([reply(bytes).subarray(0, 12), encodeName("web"), Buffer.of(0, 1, 0, 1), Buffer.of(7)]),
    );
    servers("127.0.0.2");
    expect(mark(await new Forwarder({ resolvConf, port }).ask(query("WeB"), forwarded))).toBe(7);
  });
});

describe("by TCP", () => {
  test("in pieces, and of any size", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.2",
      port: 0,
      socket: {
        data(socket, bytes) {
          const [asked = Buffer.alloc(0)] = messages(Buffer.from(bytes)).queries;
          const answer = withLength(Buffer.concat([reply(asked), Buffer.alloc(40_000, 9)]));
          socket.write(answer.subarray(0, 1));
          setTimeout(() => socket.write(answer.subarray(1)), 10);
        },
      },
    });
    undo.push({ [Symbol.dispose]: () => server.stop(true) });
    servers("127.0.0.2");
    const found = await new Forwarder({ resolvConf, port: server.port }).ask(query("a"), {
      ...forwarded,
      stream: true,
    });
    expect(found?.length).toBeGreaterThan(40_000);
  });

  test("one that closes, or where nobody listens, has no answer", async () => {
    const server = Bun.listen({ hostname: "127.0.0.2", port: 0, socket: { data: (socket) => void socket.end() } });
    undo.push({ [Symbol.dispose]: () => server.stop(true) });
    servers("127.0.0.3", "127.0.0.2");
    const forwarder = new Forwarder({ resolvConf, port: server.port });
    expect(await forwarder.ask(query("a"), { ...forwarded, stream: true })).toBeUndefined();
  });
});

test("one container's questions on their way take nothing from another's", async () => {
  const port = await upstream("127.0.0.2", 0, (bytes) => (bytes.includes("quick") ? reply(bytes, 0, 7) : undefined));
  servers("127.0.0.2", "options timeout:1");
  const forwarder = new Forwarder({ resolvConf, port });
  const flood = Array.from({ length: 2000 }, (_, at) => forwarder.ask(query(`x${at}`), forwarded));
  const refused = await Promise.race([flood.at(-1), Bun.sleep(500).then(() => "late")]);
  expect(refused).toBeUndefined();
  // The upstream's own buffer is full of the flood until it has read it.
  while (mark(await forwarder.ask(query("quick"), { ...forwarded, holder: "db" })) !== 7) await Bun.sleep(10);
  await Promise.all(flood);
  expect(mark(await forwarder.ask(query("quick"), forwarded))).toBe(7);
});

test("what a resolv.conf says", () => {
  expect(parseResolvConf("")).toEqual({ servers: ["127.0.0.1"], patience: 2000, rotate: false });
  const text =
    "# nameserver 9.9.9.9\n nameserver\t127.0.0.53\nnameserver fe80::1%eth0\nnameserver x\noptions ndots:2 timeout:9\noptions rotate\n";
  expect(parseResolvConf(text)).toEqual({ servers: ["127.0.0.53", "fe80::1%eth0"], patience: 5000, rotate: true });
  expect(parseResolvConf("options timeout:0").patience).toBe(1000);
});

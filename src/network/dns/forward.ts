import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { messages, withLength } from "./stream.ts";

/** How long one resolver has for its answer, in milliseconds, before the next is asked. */
const patience = 2000;
/** Questions on their way at once; Docker's own limit (libnetwork `maxConcurrent`). */
const most = 1024;
const resolverPort = 53;
const largest = 65_535;

/**
 * Asks other resolvers, from the host's own network, one after the other. A question that none answers is answered by
 * nobody here: undefined. Each has a socket of its own, so that its port cannot be guessed (RFC 5452, 9.2).
 */
export class Forwarder {
  readonly #resolvConf: HostResolvers;
  #underWay = 0;

  constructor(resolvConf: string) {
    this.#resolvConf = new HostResolvers(resolvConf);
  }

  /** The answer as it came, under the query's own id. `stream` asks by TCP. */
  async ask(
    query: Uint8Array,
    how: { upstreams: readonly string[]; stream: boolean },
  ): Promise<Uint8Array | undefined> {
    if (this.#underWay >= most) return undefined;
    this.#underWay++;
    try {
      const servers = how.upstreams.length > 0 ? how.upstreams : this.#resolvConf.servers();
      for (const server of servers) {
        const found = await (how.stream ? askByStream : askByDatagram)(server, query).catch(() => undefined);
        if (found) return found;
      }
      return undefined;
    } finally {
      this.#underWay--;
    }
  }
}

/** The name servers of a resolv.conf, read again when it has changed. */
class HostResolvers {
  readonly #path: string;
  #changed = -1;
  #servers: readonly string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  servers(): readonly string[] {
    const changed = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (changed !== this.#changed) this.#servers = changed === 0 ? [] : nameservers(readFileSync(this.#path, "utf8"));
    this.#changed = changed;
    return this.#servers;
  }
}

/** At most three, as resolv.conf(5) has it. */
export function nameservers(text: string): string[] {
  const found = text.split("\n").flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []);
  return found.filter((address) => isIP(address) !== 0).slice(0, 3);
}

async function askByDatagram(server: string, query: Uint8Array): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const id = Math.floor(Math.random() * 65_536);
  const socket = await Bun.udpSocket({
    connect: { hostname: server, port: resolverPort },
    socket: {
      data: (_socket, bytes) => {
        if (isAnswer(bytes, { id, query })) resolve(withId(bytes, query.subarray(0, 2)));
      },
      error: () => resolve(undefined),
    },
  });
  const timer = setTimeout(() => resolve(undefined), patience);
  socket.send(withId(query, Buffer.of(id >> 8, id & 0xff)));
  return await promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

async function askByStream(server: string, query: Uint8Array): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  let received = Buffer.alloc(0);
  const timer = setTimeout(() => resolve(undefined), patience);
  const socket = await Bun.connect({
    hostname: server,
    port: resolverPort,
    socket: {
      open: (opened) => void opened.write(withLength(query)),
      data: (_socket, bytes) => {
        received = Buffer.concat([received, bytes]);
        const [message] = messages(received).queries;
        if (message) resolve(message);
        else if (received.length > largest + 2) resolve(undefined);
      },
      close: () => resolve(undefined),
      error: () => resolve(undefined),
      connectError: () => resolve(undefined),
    },
  });
  return await promise.finally(() => {
    clearTimeout(timer);
    socket.terminate();
  });
}

/** Somebody who guesses answers has to guess the id, and the question as well. */
function isAnswer(bytes: Uint8Array, { id, query }: { id: number; query: Uint8Array }): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length < 12 || view.readUInt16BE(0) !== id || !(view.readUInt8(2) & 0x80)) return false;
  const end = questionEnd(query);
  const same = Buffer.compare(view.subarray(12, end), query.subarray(12, end)) === 0;
  return same || view.readUInt16BE(4) === 0;
}

/** Of a query that was parsed: its one name is not compressed. */
function questionEnd(query: Uint8Array): number {
  let at = 12;
  while (query[at]) at += 1 + (query[at] ?? 0);
  return at + 5;
}

function withId(message: Uint8Array, id: Uint8Array): Buffer {
  return Buffer.concat([id, message.subarray(2)]);
}

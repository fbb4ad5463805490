import { ptr } from "bun:ffi";
import { EngineError } from "../../errors/mod.ts";
import { errnoName, systemError } from "../errno.ts";
import { errno, libc } from "../libc.ts";
import { SOCK_CLOEXEC, socketCalls } from "./syscalls.ts";

/** linux/netlink.h, "struct nlmsghdr" and the attributes after it; all fields in the machine's (little-endian) order. */
export const NLM = { request: 1, ack: 4, excl: 0x200, create: 0x400 } as const;
export const protocols = { route: 0, netfilter: 12 } as const;
const nested = 0x8000;
const answerLimit = 32768;

export interface Message {
  readonly type: number;
  readonly flags: number;
  /** The family's own header and the attributes. */
  readonly body: Buffer;
}

/** A request of the kernel failed; `code` is errno, `index` says which message of the request. */
export class NetlinkError extends Error {
  readonly code: number;
  readonly index: number;

  constructor(code: number, index: number) {
    super(errnoName(code));
    this.code = code;
    this.index = index;
  }

  get errno(): string {
    return errnoName(this.code);
  }
}

/** One attribute, padded to four bytes. */
export function attribute(type: number, value: Uint8Array | string): Buffer {
  const data = typeof value === "string" ? Buffer.from(`${value}\0`) : value;
  const padded = Buffer.alloc(4 + ((data.length + 3) & ~3));
  padded.writeUInt16LE(4 + data.length, 0);
  padded.writeUInt16LE(type, 2);
  padded.set(data, 4);
  return padded;
}

export function nest(type: number, ...attributes: Buffer[]): Buffer {
  return attribute(type | nested, Buffer.concat(attributes));
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** A netlink socket of this process's network namespace. */
export class Netlink implements Disposable {
  readonly #fd: number;
  #sequence = 0;

  constructor(protocol: number) {
    const AF_NETLINK = 16;
    const SOCK_RAW = 3;
    this.#fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    if (this.#fd < 0) throw systemError("Open a netlink socket", errno());
  }

  /** Room for one datagram with some hundred thousand elements. */
  withLargeSends(): this {
    const [SOL_SOCKET, SO_SNDBUFFORCE] = [1, 32];
    const size = new Int32Array([64 * 1024 * 1024]);
    if (socketCalls.setsockopt(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, ptr(size), 4) < 0) {
      throw systemError("Enlarge a netlink socket's send buffer", errno());
    }
    return this;
  }

  /**
   * Sends the messages as one datagram and reads until each that asks for an acknowledgement has it. Returns the bodies
   * of the answers. Throws {@link NetlinkError} for the first that failed; those before and after it may have taken effect.
   */
  request(messages: readonly Message[]): Buffer[] {
    const base = this.#sequence;
    this.#sequence = (base + messages.length) >>> 0;
    const datagram = Buffer.concat(messages.map((message, index) => encode(message, (base + index) >>> 0)));
    if (socketCalls.send(this.#fd, ptr(datagram), datagram.length, 0) < 0) {
      throw systemError("Send to netlink", errno());
    }
    const waiting = new Set(messages.flatMap((message, index) => (message.flags & NLM.ack ? [index] : [])));
    return this.#collect(base, waiting);
  }

  /** Asks for all objects of a kind, and returns the body of each. Throws {@link NetlinkError}. */
  dump(message: Message): Buffer[] {
    const sequence = this.#sequence++ >>> 0;
    const datagram = encode({ ...message, flags: message.flags | dumpFlag }, sequence);
    if (socketCalls.send(this.#fd, ptr(datagram), datagram.length, 0) < 0) {
      throw systemError("Send to netlink", errno());
    }
    const found: Buffer[] = [];
    for (;;) {
      for (const { type, body, ...received } of this.#receive()) {
        if (received.sequence !== sequence) continue;
        if (type === doneType) return found;
        if (type === errorType && body.readInt32LE(0) !== 0) throw new NetlinkError(-body.readInt32LE(0), 0);
        found.push(body);
      }
    }
  }

  /** What an earlier request that failed left unread has other sequence numbers, and is passed over. */
  #collect(base: number, waiting: Set<number>): Buffer[] {
    const answers: Buffer[] = [];
    while (waiting.size > 0) {
      for (const { type, sequence, body } of this.#receive()) {
        const index = (sequence - base) >>> 0;
        if (!waiting.has(index)) continue;
        if (type !== errorType) answers.push(body);
        else {
          const code = -body.readInt32LE(0);
          if (code !== 0) throw new NetlinkError(code, index);
          waiting.delete(index);
        }
      }
    }
    return answers;
  }

  /** Answers are queued before send(2) returns, so none being there is a failure, never a reason to wait. */
  #receive(): Received[] {
    const dontWait = 0x40;
    const buffer = Buffer.alloc(answerLimit);
    const length = Number(socketCalls.recv(this.#fd, ptr(buffer), buffer.length, dontWait));
    if (length < 0) throw systemError("Receive from netlink", errno());
    return decode(buffer.subarray(0, length));
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }
}

interface Received {
  readonly type: number;
  readonly sequence: number;
  readonly body: Buffer;
}

const headerLength = 16;
const [errorType, doneType] = [2, 3];
const dumpFlag = 0x300;

function encode(message: Message, sequence: number): Buffer {
  const header = Buffer.alloc(headerLength);
  header.writeUInt32LE(headerLength + message.body.length, 0);
  header.writeUInt16LE(message.type, 4);
  header.writeUInt16LE(message.flags | NLM.request, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, message.body]);
}

function decode(bytes: Buffer): Received[] {
  const found: Received[] = [];
  for (let at = 0; at + headerLength <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < headerLength || at + length > bytes.length)
      throw new EngineError("internal", "Truncated netlink answer");
    found.push({
      type: bytes.readUInt16LE(at + 4),
      sequence: bytes.readUInt32LE(at + 8),
      body: bytes.subarray(at + headerLength, at + length),
    });
    at += (length + 3) & ~3;
  }
  return found;
}

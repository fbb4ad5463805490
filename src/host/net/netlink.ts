import { ptr } from "bun:ffi";
import { EngineError } from "../../errors/mod.ts";
import { errnoName, systemError } from "../errno.ts";
import { errno, libc } from "../libc.ts";
import { SOCK_CLOEXEC, socketCalls } from "./syscalls.ts";

/** linux/netlink.h, "struct nlmsghdr" and the attributes after it; all fields in the machine's (little-endian) order. */
export const NLM = { request: 1, ack: 4, interrupted: 0x10, dump: 0x300, excl: 0x200, create: 0x400 } as const;
export const protocols = { route: 0, netfilter: 12 } as const;
export const AF_NETLINK = 16;
const nested = 0x8000;
const typeMask = 0x3fff;
const answerLimit = 32768;
const listTries = 100;

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

/** The attributes of a body or of a nest, whose own header has so many bytes, by type; of a type that comes twice the last. */
export function attributesOf(bytes: Buffer, headerLength = 0): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = headerLength; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) throw new EngineError("internal", "Truncated netlink attribute");
    found.set(bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

/** The descriptor of a netlink socket of this process's network namespace. */
export function openNetlink(protocol: number, flags = 0): number {
  const SOCK_RAW = 3;
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, protocol);
  if (fd < 0) throw systemError("Open a netlink socket", errno());
  return fd;
}

/** A netlink socket, for requests and their answers. */
export class Netlink implements Disposable {
  readonly #fd: number;
  #sequence = 0;

  constructor(protocol: number) {
    this.#fd = openNetlink(protocol);
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
    const base = this.#send(messages);
    const waiting = new Set(messages.flatMap((message, index) => (message.flags & NLM.ack ? [index] : [])));
    return this.#collect(base, waiting);
  }

  /**
   * Asks for a listing and gives the bodies of its entries, as many at a time as the kernel hands out (some 30 KB). The
   * socket is nobody else's until the end. Throws {@link NetlinkError}, with EINTR when what is listed was changed meanwhile,
   * so that entries may be missing or there twice.
   */
  *dump(message: Message): Generator<Buffer[]> {
    const EINTR = 4;
    const sequence = this.#send([{ ...message, flags: message.flags | NLM.dump }]);
    let changed = false;
    for (;;) {
      const received = this.#receive().filter((one) => one.sequence === sequence);
      changed ||= received.some(({ flags }) => (flags & NLM.interrupted) !== 0);
      const failed = received.find(({ type, body }) => type === errorType && body.readInt32LE(0) !== 0);
      if (failed) throw new NetlinkError(-failed.body.readInt32LE(0), 0);
      const isLast = received.some(({ type }) => type === doneType);
      yield received.filter(({ type }) => type > doneType).map(({ body }) => body);
      if (isLast && changed) throw new NetlinkError(EINTR, 0);
      if (isLast) return;
    }
  }

  /**
   * The bodies of all that a {@link dump} lists, at one moment: once more when somebody has changed it meanwhile, not for
   * ever. Throws {@link NetlinkError}, with EINTR when it never stood still.
   */
  list(message: Message): Buffer[] {
    for (let left = listTries; ; left--) {
      try {
        return [...this.dump(message)].flat();
      } catch (err) {
        if (!(err instanceof NetlinkError) || err.errno !== "EINTR" || left <= 1) throw err;
      }
    }
  }

  /** Gives the sequence number of the first. */
  #send(messages: readonly Message[]): number {
    const base = this.#sequence;
    this.#sequence = (base + messages.length) >>> 0;
    const datagram = Buffer.concat(messages.map((message, index) => encode(message, (base + index) >>> 0)));
    if (socketCalls.send(this.#fd, ptr(datagram), datagram.length, 0) < 0) {
      throw systemError("Send to netlink", errno());
    }
    return base;
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
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

const headerLength = 16;
const errorType = 2;
const doneType = 3;

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
      flags: bytes.readUInt16LE(at + 6),
      sequence: bytes.readUInt32LE(at + 8),
      body: bytes.subarray(at + headerLength, at + length),
    });
    at += (length + 3) & ~3;
  }
  return found;
}

import { EngineError } from "../../errors/mod.ts";

/** Kinds of frames by their opcode (RFC 6455, section 5.2). */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type FrameKind = keyof typeof opcodes;

/** What a client sent: a piece of a message's data, or a control frame as a whole. Pieces come as they arrive, whatever frames are around them. */
export interface WebSocketPiece {
  readonly kind: "data" | "close" | "ping" | "pong";
  readonly bytes: Uint8Array;
}

const kinds = new Map(Object.entries(opcodes).map(([kind, code]) => [code as number, kind as FrameKind]));
const mostControl = 125;

/** A whole message, or a control frame, in one frame without a mask: as a server sends it. Throws "invalid" for a control frame above 125 bytes. */
export function webSocketFrame(kind: FrameKind, bytes: Uint8Array): Buffer {
  if (opcodes[kind] >= opcodes.close && bytes.length > mostControl) throw broken("a control frame is too long");
  return Buffer.concat([header(opcodes[kind], bytes.length), bytes]);
}

function header(opcode: number, length: number): Buffer {
  const first = 0x80 | opcode;
  if (length <= mostControl) return Buffer.from([first, length]);
  const long = Buffer.alloc(length < 65_536 ? 4 : 10);
  long.writeUInt16BE((first << 8) | (length < 65_536 ? 126 : 127), 0);
  if (length < 65_536) long.writeUInt16BE(length, 2);
  else long.writeBigUInt64BE(BigInt(length), 2);
  return long;
}

/** The body of a close frame: a code (RFC 6455, section 7.4.1) and why. */
export function closeBody(code: number, why = ""): Buffer {
  const body = Buffer.alloc(2);
  body.writeUInt16BE(code);
  return Buffer.concat([body, Buffer.from(why)]).subarray(0, mostControl);
}

interface Frame {
  readonly kind: FrameKind;
  readonly mask: Uint8Array;
  left: number;
  /** How many bytes of its payload have come: where the mask goes on. */
  done: number;
}

/**
 * A client's frames, undone. Data is handed on as it arrives, so that a frame of any length takes no memory; only control
 * frames, of 125 bytes at most, are collected. Throws "invalid" for what RFC 6455 forbids a client.
 */
export class WebSocketDecoder {
  #head = Buffer.alloc(0);
  #frame: Frame | undefined;
  #control: Uint8Array[] = [];
  /** In the middle of a message that came in several frames. */
  #inMessage = false;

  *feed(bytes: Uint8Array): Generator<WebSocketPiece> {
    let rest = bytes;
    while (rest.length > 0 || this.#frame?.left === 0) {
      if (!this.#frame) rest = this.#readHead(rest);
      if (!this.#frame) return;
      const part = rest.subarray(0, Math.min(rest.length, this.#frame.left));
      rest = rest.subarray(part.length);
      yield* this.#payload(this.#frame, part);
      if (this.#frame.left > 0) return;
      this.#frame = undefined;
    }
  }

  *#payload(frame: Frame, part: Uint8Array): Generator<WebSocketPiece> {
    const clear = Uint8Array.from(part, (byte, at) => byte ^ (frame.mask[(frame.done + at) % 4] ?? 0));
    frame.left -= part.length;
    frame.done += part.length;
    const { kind } = frame;
    if (kind !== "close" && kind !== "ping" && kind !== "pong") {
      if (clear.length > 0) yield { kind: "data", bytes: clear };
      return;
    }
    this.#control.push(clear);
    if (frame.left > 0) return;
    yield { kind, bytes: Buffer.concat(this.#control) };
    this.#control = [];
  }

  /** Takes what belongs to a header, and returns the rest; there is a frame when the header is complete. */
  #readHead(bytes: Uint8Array): Uint8Array {
    const before = this.#head.length;
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, 14 - before)]);
    const head = this.#head;
    if (head.length < 2) return new Uint8Array();
    const short = head.readUInt8(1) & 0x7f;
    const lengthAt = short === 126 ? 2 : short === 127 ? 8 : 0;
    const size = 2 + lengthAt + 4;
    const kind = this.#kindOf(head);
    if (head.length < size) return new Uint8Array();
    const length = lengthAt === 0 ? short : lengthAt === 2 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
    if (length > Number.MAX_SAFE_INTEGER) throw broken("a frame is too long");
    this.#frame = { kind, mask: Uint8Array.from(head.subarray(size - 4, size)), left: length, done: 0 };
    this.#head = Buffer.alloc(0);
    return bytes.subarray(size - before);
  }

  #kindOf(head: Buffer): FrameKind {
    const [first, second] = [head.readUInt8(0), head.readUInt8(1)];
    const kind = kinds.get(first & 0x0f);
    const last = (first & 0x80) !== 0;
    if (kind === undefined) throw broken(`opcode ${first & 0x0f} is not known`);
    if ((first & 0x70) !== 0) throw broken("reserved bits are set");
    if ((second & 0x80) === 0) throw broken("a client's frame has no mask");
    if (opcodes[kind] >= opcodes.close) {
      if (!last || (second & 0x7f) > mostControl) throw broken("a control frame is too long or in pieces");
      return kind;
    }
    return this.#dataKind(kind, { last, complete: head.length >= 2 + sizeOfRest(second) });
  }

  /** A message begins with its kind and goes on with continuations; told once, when the header is complete. */
  #dataKind(kind: FrameKind, { last, complete }: { last: boolean; complete: boolean }): FrameKind {
    if ((kind === "continuation") !== this.#inMessage) throw broken("a message begins in the middle of another");
    if (complete) this.#inMessage = !last;
    return kind;
  }
}

/** Of a header: the long length, where there is one, and the mask. */
function sizeOfRest(second: number): number {
  const short = second & 0x7f;
  return (short === 126 ? 2 : short === 127 ? 8 : 0) + 4;
}

function broken(what: string): EngineError {
  return new EngineError("invalid", `Not a WebSocket's frame: ${what}`);
}

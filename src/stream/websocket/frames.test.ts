import { expect, test } from "bun:test";
import { closeBody, WebSocketDecoder, webSocketFrame } from "./frames.ts";

/** A client's frame. `first` is the byte with FIN and opcode. */
function fromClient(first: number, payload: Uint8Array | string, mask = [1, 2, 3, 4]): Buffer {
  const bytes = Buffer.from(payload as string);
  const head = Buffer.from(webSocketFrame("binary", bytes)).subarray(0, -bytes.length || undefined);
  head[0] = first;
  head[1] = (head[1] ?? 0) | 0x80;
  return Buffer.concat([head, Buffer.from(mask), bytes.map((byte, at) => byte ^ (mask[at % 4] ?? 0))]);
}

function decoded(bytes: Uint8Array, pieceSize = bytes.length): string[] {
  const decoder = new WebSocketDecoder();
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += pieceSize) {
    for (const piece of decoder.feed(bytes.subarray(at, at + pieceSize))) {
      const text = Buffer.from(piece.bytes).toString("latin1");
      if (piece.kind === "data" && found.at(-1)?.startsWith("data ")) found.push(`${found.pop()}${text}`);
      else found.push(`${piece.kind} ${text}`);
    }
  }
  return found;
}

test("the examples of RFC 6455, section 5.7", () => {
  expect(webSocketFrame("text", Buffer.from("Hello")).toString("hex")).toBe("810548656c6c6f");
  expect(decoded(Buffer.from("818537fa213d7f9f4d5158", "hex"))).toEqual(["data Hello"]);
  expect(webSocketFrame("binary", Buffer.alloc(256)).subarray(0, 4).toString("hex")).toBe("827e0100");
  expect(webSocketFrame("binary", Buffer.alloc(65536)).subarray(0, 10).toString("hex")).toBe("827f0000000000010000");
  expect(decoded(Buffer.from("898537fa213d7f9f4d5158", "hex"))).toEqual(["ping Hello"]);
});

test("frames of every length, however they arrive, with control frames in the middle of a message", () => {
  for (const length of [0, 1, 125, 126, 300, 65_535, 65_536]) {
    const payload = Buffer.alloc(length, "abcdefg");
    const wire = Buffer.concat([
      fromClient(0x02, payload),
      fromClient(0x89, "hi"),
      fromClient(0x80, "end"),
      fromClient(0x88, closeBody(1000, "bye")),
    ]);
    const first = length === 0 ? [] : [`data ${payload.toString("latin1")}`];
    const wanted = [...first, "ping hi", "data end", "close \x03\xe8bye"];
    for (const size of length > 1000 ? [777, wire.length] : [1, 2, 3, 7, wire.length]) {
      expect(decoded(wire, size)).toEqual(wanted);
    }
  }
});

test("what a client must not send is refused", () => {
  const refused: Readonly<Record<string, Buffer>> = {
    "has no mask": Buffer.from("810548656c6c6f", "hex"),
    "opcode 3": fromClient(0x83, "x"),
    "reserved bits": fromClient(0xc2, "x"),
    "control frame is too long": fromClient(0x89, Buffer.alloc(126)),
    "or in pieces": fromClient(0x09, "x"),
    "begins in the middle": fromClient(0x80, "x"),
    "in the middle of another": Buffer.concat([fromClient(0x01, "x"), fromClient(0x81, "y")]),
    "frame is too long": Buffer.from("82ffffffffffffffffff00000000", "hex"),
  };
  for (const [why, wire] of Object.entries(refused)) expect(() => decoded(wire)).toThrow(why);
});

test("a length that nobody can send takes no memory", () => {
  const decoder = new WebSocketDecoder();
  const head = Buffer.from("82ff000000ffffffffff00000000", "hex");
  const pieces = [...decoder.feed(Buffer.concat([head, Buffer.from("some")]))];
  expect(pieces).toEqual([{ kind: "data", bytes: Uint8Array.from(Buffer.from("some")) }]);
});

test("a server's control frames are short", () => {
  expect(() => webSocketFrame("ping", Buffer.alloc(126))).toThrow("too long");
  expect(closeBody(1002, "x".repeat(500)).length).toBe(125);
});

import { describe, expect, test } from "bun:test";
import { fromBuffer } from "../bytes.ts";
import { encodeTarHeader, tarEnd } from "./encode.ts";
import { base, block, failure, inPieces, patched, pax, python } from "./testing.ts";

describe("refusing what is broken", () => {
  const sparseMap = (map: string, size: string, stored: number) =>
    Buffer.concat([
      pax("x", [
        ["GNU.sparse.map", map],
        ["GNU.sparse.size", size],
      ]),
      encodeTarHeader({ ...base, size: BigInt(stored) }),
      Buffer.alloc(512),
      tarEnd,
    ]);
  const sparseText = (text: string, size = "10") =>
    Buffer.concat([
      pax("x", [
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.realsize", size],
      ]),
      encodeTarHeader({ ...base, size: 1024n }),
      block(text),
      Buffer.alloc(1024),
    ]);
  const whole = Buffer.concat([encodeTarHeader({ ...base, size: 600n }), Buffer.alloc(1024), tarEnd]);
  const cases: Record<string, [Uint8Array, RegExp]> = {
    "cut in a header": [whole.subarray(0, 100), /Truncated tar archive: it ends at byte 100/],
    "cut in content": [whole.subarray(0, 900), /Truncated tar archive: it ends at byte 900 in "f"/],
    "cut after a pax header": [pax("x", [["path", "x"]]), /Truncated/],
    "a wrong checksum": [
      Buffer.concat([encodeTarHeader(base), block("garbage"), tarEnd]),
      /entry at byte 512: bad header checksum/,
    ],
    "not an archive": [Buffer.alloc(2000, "no tar"), /byte 0: bad/],
    "half an end marker": [Buffer.concat([Buffer.alloc(512), encodeTarHeader(base)]), /end marker/],
    "a negative size": [patched(base, (b) => b.fill(0xff, 124, 136)), /size -1 is out of range/],
    "a huge size": [patched(base, (b) => void b.fill(0x7f, 125, 136).writeUInt8(0x80, 124)), /out of range/],
    "bad octal digits": [patched(base, (b) => b.write("0000009", 108)), /bad octal number/],
    "an unknown type": [patched(base, (b) => b.write("Z", 156)), /unknown entry type "Z"/],
    "several volumes": [patched(base, (b) => b.write("M", 156)), /several volumes/],
    "a huge pax header": [
      patched({ ...base, size: 1n << 30n }, (b) => b.write("x", 156)),
      /extended header of 1073741824/,
    ],
    "a pax header of nothing": [Buffer.concat([pax("x", [["path", "x"]]), tarEnd]), /describes nothing/],
    "an impossible owner": [pax2([["uid", "4294967295"]]), /uid 4294967295 is out of range/],
    "a pax time that is none": [pax2([["mtime", "soon"]]), /time "soon"/],
    "a pax size that is none": [pax2([["size", "-5"]]), /size "-5"/],
    "a NUL in a pax name": [pax2([["path", "a\0b"]]), /bad pax record "path"/],
    "a pax record without its end": [rawPax("20 path=x\n"), /bad pax record at byte 0/],
    "a pax record without a length": [rawPax("path=x\n"), /bad pax record at byte 0/],
    "a sparse map out of order": [sparseMap("5,5,0,5", "20", 10), /not in order/],
    "a sparse map beyond the file": [sparseMap("5,10", "10", 10), /does not fit/],
    "a sparse map of another size": [sparseMap("5,5", "10", 6), /does not fit/],
    "half a sparse map": [sparseMap("5", "10", 6), /not in order/],
    "a sparse text that is none": [sparseText("x\n"), /sparse map entry "x"/],
    "a sparse text without end": [sparseText("9".repeat(300)), /bad sparse map/],
    "a sparse text that is too long": [sparseText("999999999\n"), /too long/],
    "a sparse text longer than the content": [sparseText(`400\n${"1\n".repeat(600)}`), /longer than the file/],
    "an unknown sparse version": [
      pax2([
        ["GNU.sparse.major", "2"],
        ["GNU.sparse.minor", "0"],
      ]),
      /sparse format 2.0/,
    ],
  };

  function pax2(records: [string, string][]): Buffer {
    return Buffer.concat([pax("x", records), encodeTarHeader(base), tarEnd]);
  }

  function rawPax(text: string): Buffer {
    return Buffer.concat([patched({ ...base, size: BigInt(text.length) }, (b) => b.write("x", 156)), block(text)]);
  }

  for (const [what, [bytes, message]] of Object.entries(cases)) {
    test(what, async () => {
      for (const size of [bytes.length, 100]) {
        expect(await failure(inPieces(bytes, size))).toMatchObject({
          kind: "invalid",
          message: expect.stringMatching(message),
        });
      }
    });
  }

  test("random damage throws invalid or reads on, and nothing else", async () => {
    const archive = python(
      "PAX",
      'add("a", b"x" * 700, mtime=1.5)\nadd("é" * 80, b"y")\nadd("d", type=tarfile.DIRTYPE)',
    );
    for (let at = 0; at < archive.length; at += 7) {
      const damaged = Buffer.from(archive);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      const outcome = await failure(fromBuffer(damaged));
      if (outcome instanceof Error) expect(outcome).toMatchObject({ kind: "invalid" });
    }
  });
});

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { EngineError } from "../errors/mod.ts";
import {
  collect,
  compress,
  decompress,
  digesting,
  frame,
  fromBuffer,
  fromFile,
  readFrameRuns,
  readFrames,
  sniff,
} from "./mod.ts";
import type { Bytes } from "./stream.ts";

const scratch = mkdtempSync(join(tmpdir(), "berth-stream-"));
afterAll(() => rmSync(scratch, { recursive: true }));

async function* pieces(bytes: Uint8Array, size: number): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* failing(bytes: Uint8Array): Bytes {
  yield bytes;
  throw new EngineError("unavailable", "line is down");
}

const outcome = (bytes: Bytes) => collect(bytes, 1 << 24).then(String, (err: unknown) => err);

describe("helpers", () => {
  test("collect has a limit", async () => {
    expect(String(await collect(pieces(Buffer.from("hello"), 2), 5))).toBe("hello");
    expect(await collect(fromBuffer("hello!"), 5).catch((err: unknown) => err)).toMatchObject({ kind: "invalid" });
    expect((await collect(fromBuffer(""), 0)).length).toBe(0);
  });

  test("ranges of a file", async () => {
    const path = join(scratch, "f");
    const data = Buffer.alloc(1_000_000, "0123456789");
    writeFileSync(path, data);
    expect((await collect(fromFile(path), 1e6)).equals(data)).toBe(true);
    expect(String(await collect(fromFile(path, { start: 12, end: 15 }), 1e6))).toBe("234");
    expect(String(await collect(fromFile(path, { start: 999_998, end: 2_000_000 }), 1e6))).toBe("89");
    expect(await outcome(fromFile(join(scratch, "none")))).toMatchObject({ code: "ENOENT" });
  });

  test("digesting passes bytes on and tells what they were", async () => {
    const { bytes, done } = digesting(pieces(Buffer.from("hello"), 2));
    expect(String(await collect(bytes, 10))).toBe("hello");
    expect(await done).toEqual({
      digest: "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
      size: 5,
    });
    const broken = digesting(failing(Buffer.from("x")));
    expect(await outcome(broken.bytes)).toMatchObject({ kind: "unavailable" });
    expect(await broken.done.catch((err: unknown) => err)).toMatchObject({ kind: "unavailable" });
    const left = digesting(pieces(Buffer.from("hello"), 2));
    for await (const _ of left.bytes) break;
    expect(await left.done.catch((err: unknown) => err)).toMatchObject({ kind: "canceled" });
  });
});

describe("compression", () => {
  const text = Buffer.from(Array.from({ length: 50_000 }, (_, at) => `line ${at}\n`).join(""));

  for (const format of ["gzip", "zstd"] as const) {
    const pack = format === "gzip" ? gzipSync : zstdCompressSync;

    test(`${format} there and back, in pieces of any size`, async () => {
      const packed = await collect(compress(pieces(text, 10_000), format), 1 << 24);
      expect(sniff(packed)).toBe(format);
      expect(packed.equals(await collect(compress(pieces(text, 10_000), format), 1 << 24))).toBe(true);
      for (const size of [3, 1000, packed.length]) {
        expect((await collect(decompress(pieces(packed, size)), 1 << 24)).equals(text)).toBe(true);
      }
    });

    test(`${format} of several members`, async () => {
      const twice = Buffer.concat([pack("hello "), pack("world")]);
      for (const size of [1, twice.length]) expect(await outcome(decompress(pieces(twice, size)))).toBe("hello world");
    });

    test(`broken or truncated ${format}`, async () => {
      const packed = pack(text);
      const damaged = Buffer.from(packed);
      damaged.fill(0x55, packed.length >> 1, (packed.length >> 1) + 200);
      for (const bytes of [damaged, packed.subarray(0, packed.length - 20), packed.subarray(0, 100)]) {
        expect(await outcome(decompress(pieces(bytes, 5000)))).toMatchObject({
          kind: "invalid",
          message: expect.stringContaining(`Cannot decompress ${format} data`),
        });
      }
    });

    test(`${format}: a failing source keeps its error`, async () => {
      expect(await outcome(decompress(failing(pack(text).subarray(0, 100))))).toMatchObject({ kind: "unavailable" });
      expect(await outcome(compress(failing(text), format))).toMatchObject({ kind: "unavailable" });
    });

    test(`${format}: a reader that stops early stops the source`, async () => {
      const packed = pack(Buffer.concat(Array.from({ length: 40 }, () => text)));
      const { promise: stopped, resolve } = Promise.withResolvers<void>();
      let read = 0;
      async function* source(): Bytes {
        try {
          for (;;) {
            yield packed;
            read++;
          }
        } finally {
          resolve();
        }
      }
      for await (const _ of decompress(source())) break;
      await stopped;
      expect(read).toBeLessThan(100);
    });
  }

  test("plain bytes pass, short ones too", async () => {
    expect(await outcome(decompress(fromBuffer("")))).toBe("");
    expect(await outcome(decompress(pieces(Buffer.from("abcdefghij"), 1)))).toBe("abcdefghij");
  });

  test("what needs a program is refused by name or handed over", async () => {
    const xz = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1]);
    expect(await outcome(decompress(fromBuffer(xz)))).toMatchObject({
      kind: "not-implemented",
      message: expect.stringContaining("xz"),
    });
    expect(await outcome(decompress(fromBuffer("BZh91AY")))).toMatchObject({ kind: "not-implemented" });
    const external = async function* (format: string, bytes: Bytes): Bytes {
      yield Buffer.from(`${format}:${(await collect(bytes, 100)).length}`);
    };
    expect(await outcome(decompress(pieces(xz, 1), { external }))).toBe("xz:7");
  });

  test("a zstd stream may begin with a skippable frame", async () => {
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
    expect(await outcome(decompress(fromBuffer(Buffer.concat([skippable, zstdCompressSync("hi")]))))).toBe("hi");
  });
});

describe("frames", () => {
  test("there and back in any pieces", async () => {
    const framed = Buffer.concat([
      frame("stdout", Buffer.from("out")),
      frame("stderr", Buffer.alloc(0)),
      frame("stderr", Buffer.from("err")),
    ]);
    expect([...framed.subarray(0, 8)]).toEqual([1, 0, 0, 0, 0, 0, 0, 3]);
    for (const size of [1, 5, 100]) {
      const texts = { stdin: "", stdout: "", stderr: "" };
      for await (const { stream, bytes } of readFrames(pieces(framed, size))) texts[stream] += Buffer.from(bytes);
      expect(texts).toEqual({ stdin: "", stdout: "out", stderr: "err" });
    }
  });

  test("runs: what arrives together of one stream is one, in the order of the streams", async () => {
    const texts = (["stdout", "stdout", "stderr", "stdout"] as const).map((stream, at) =>
      frame(stream, Buffer.from(`${at}`)),
    );
    const framed = Buffer.concat([...texts, frame("stdout", Buffer.from("end"))]);
    const runs = async (size: number) => {
      const found: string[] = [];
      for await (const { stream, bytes } of readFrameRuns(pieces(framed, size)))
        found.push(`${stream} ${Buffer.from(bytes)}`);
      return found;
    };
    expect(await runs(1000)).toEqual(["stdout 01", "stderr 2", "stdout 3end"]);
    expect((await runs(1)).map((run) => run.split(" ")[1]).join("")).toBe("0123end");
  });

  test.each([readFrames, readFrameRuns])("an unknown stream and half a frame are refused", async (reader) => {
    const read = (bytes: Uint8Array) => Array.fromAsync(reader(fromBuffer(bytes))).catch((err: unknown) => err);
    expect(await read(Buffer.from([7, 0, 0, 0, 0, 0, 0, 0]))).toMatchObject({ kind: "invalid" });
    expect(await read(frame("stdout", Buffer.from("out")).subarray(0, 9))).toMatchObject({ kind: "invalid" });
    expect(await read(Buffer.from([1, 0]))).toMatchObject({ kind: "invalid" });
  });
});

import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collect, fromBuffer, fromFile } from "../bytes.ts";
import type { Bytes, TarEntry, TarHeader } from "../stream.ts";
import { encodeTarHeader, tarEnd } from "./encode.ts";
import { blockSize, checksums } from "./header.ts";
import { formatPax } from "./pax.ts";
import { readTar } from "./read.ts";
import { writeTar } from "./write.ts";

const scratch = mkdtempSync(join(tmpdir(), "berth-tar-"));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Read extends TarHeader {
  readonly text: string;
}

async function readAll(bytes: Bytes): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const { header, content } of readTar(bytes)) {
    entries.push({ ...header, text: (await collect(content, 1 << 20)).toString("latin1") });
  }
  return entries;
}

async function* inPieces(bytes: Uint8Array, size: number): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function run(argv: string[], stdin = ""): Buffer {
  const child = Bun.spawnSync(argv, { cwd: scratch, stdin: Buffer.from(stdin), stdout: "pipe", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${argv.join(" ")}: ${child.stderr}`);
  return child.stdout;
}

/** An archive made by Python's tarfile; `body` adds to `t` with `add(name, data, **attributes)`. */
function python(format: "PAX" | "GNU" | "USTAR", body: string): Buffer {
  return run(
    ["python3", "-"],
    `
import tarfile, io, sys
out = io.BytesIO()
t = tarfile.open(fileobj=out, mode="w", format=tarfile.${format}_FORMAT)
def add(name, data=b"", **kw):
    i = tarfile.TarInfo(name); i.size = len(data)
    for k, v in kw.items(): setattr(i, k, v)
    t.addfile(i, io.BytesIO(data) if data else None)
${body}
t.close()
sys.stdout.buffer.write(out.getvalue())
`,
  );
}

const name = (entry: TarHeader) => Buffer.from(entry.name).toString("latin1");
const base: TarHeader = {
  name: Buffer.from("f"),
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0n,
  mtime: 0n,
};

/** One header block changed and its checksum made right again. */
function patched(header: TarHeader, change: (block: Buffer) => void): Buffer {
  const block = encodeTarHeader(header);
  change(block);
  block.write(`${checksums(block).unsigned.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

function block(text: string | Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.ceil(text.length / blockSize) * blockSize);
  padded.set(Buffer.from(text as string));
  return padded;
}

function pax(flag: "x" | "g", records: [string, string | Uint8Array][]): Buffer {
  const data = formatPax(records);
  return Buffer.concat([patched({ ...base, size: BigInt(data.length) }, (b) => b.write(flag, 156)), block(data)]);
}

async function failure(bytes: Bytes): Promise<unknown> {
  return readAll(bytes).catch((err: unknown) => err);
}

describe("reading what others write", () => {
  for (const format of ["PAX", "GNU"] as const) {
    test(`${format}: types, long names, large numbers, devices`, async () => {
      const long = `${"d".repeat(90)}/${"e".repeat(200)}`;
      const archive = python(
        format,
        `
add("plain", b"hello", mode=0o6755, uid=1000, gid=1001, mtime=1234567890)
add("dir", type=tarfile.DIRTYPE, mode=0o1777)
add("${long}", b"x" * 1500)
add("s", type=tarfile.SYMTYPE, linkname="${long}")
add("h", type=tarfile.LNKTYPE, linkname="plain")
add("c", type=tarfile.CHRTYPE, devmajor=5, devminor=300)
add("b", type=tarfile.BLKTYPE, devmajor=8, devminor=1)
add("p", type=tarfile.FIFOTYPE)
add("big", uid=2**31 + 5, gid=2**21, mtime=2**34)`,
      );
      for (const size of [archive.length, 1, 511, 513]) {
        const entries = await readAll(inPieces(archive, size));
        expect(entries.map(name)).toEqual(["plain", "dir", long, "s", "h", "c", "b", "p", "big"]);
        const [plain, dir, deep, symlink, hard, char, blockDevice, fifo, big] = entries;
        expect(plain).toMatchObject({ type: "file", mode: 0o6755, uid: 1000, gid: 1001, text: "hello", size: 5n });
        expect(plain?.mtime).toBe(1234567890_000000000n);
        expect(dir).toMatchObject({ type: "directory", mode: 0o1777 });
        expect(deep?.text).toBe("x".repeat(1500));
        expect(String(symlink?.linkname)).toBe(long);
        expect(hard).toMatchObject({ type: "hardlink", linkname: Buffer.from("plain"), size: 0n });
        expect(char).toMatchObject({ type: "character", major: 5, minor: 300 });
        expect(blockDevice).toMatchObject({ type: "block", major: 8, minor: 1 });
        expect(fifo?.type).toBe("fifo");
        expect(big).toMatchObject({ uid: 2 ** 31 + 5, gid: 2 ** 21, mtime: BigInt(2 ** 34) * 1_000_000_000n });
      }
    });
  }

  test("pax: names that are not UTF-8, extended attributes, parts of seconds, global headers", async () => {
    const archive = Buffer.concat([
      pax("g", [
        ["mtime", "7"],
        ["gid", "77"],
      ]),
      pax("x", [
        ["path", Buffer.from([0x61, 0xff, 0x3d])],
        ["mtime", "-1.5"],
        ["SCHILY.xattr.security.capability", Buffer.from([1, 0, 0x0a, 2])],
        ["gid", ""],
      ]),
      encodeTarHeader(base),
      encodeTarHeader({ ...base, gid: 5, mtime: 5_000_000_000n }),
      tarEnd,
    ]);
    const [odd, plain] = await readAll(fromBuffer(archive));
    expect(odd?.name).toEqual(Buffer.from([0x61, 0xff, 0x3d]));
    expect(odd).toMatchObject({ mtime: -1_500_000_000n, gid: 0 });
    expect(odd?.xattrs?.get("security.capability")).toEqual(Buffer.from([1, 0, 0x0a, 2]));
    expect(plain).toMatchObject({ mtime: 7_000_000_000n, gid: 77 });
    expect(plain?.xattrs).toBeUndefined();
  });

  test("GNU tar: names in ustar prefixes and v7 archives", async () => {
    const long = `${"p".repeat(120)}/${"q".repeat(90)}`;
    expect((await readAll(fromBuffer(python("USTAR", `add("${long}", b"1")`)))).map(name)).toEqual([long]);
    mkdirSync(join(scratch, "v7/sub"), { recursive: true });
    writeFileSync(join(scratch, "v7/sub/f"), "seven");
    const entries = await readAll(fromBuffer(run(["tar", "--format=v7", "-cf", "-", "v7"])));
    expect(entries.map((entry) => [name(entry), entry.type, entry.text])).toEqual([
      ["v7", "directory", ""],
      ["v7/sub", "directory", ""],
      ["v7/sub/f", "file", "seven"],
    ]);
  });

  for (const options of ["--format=gnu", "--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0"]) {
    test(`sparse files: ${options}`, async () => {
      const path = join(scratch, "sparse");
      const expected = Buffer.alloc(900_000);
      run(["rm", "-f", path]);
      const pieces = Array.from({ length: 30 }, (_, at) => [at * 30_000, `piece ${at}`] as const);
      for (const [at, text] of pieces) expected.write(text, at);
      run(
        ["python3", "-"],
        `
f = open("sparse", "wb")
${pieces.map(([at, text]) => `f.seek(${at}); f.write(b"${text}")`).join("\n")}
f.truncate(900000)`,
      );
      const format = options.startsWith("--format") ? [options] : ["--format=pax", options];
      const archive = run(["tar", "-S", ...format, "-cf", "-", "sparse", "v7/sub/f"]);
      expect(archive.length).toBeLessThan(400_000);
      const [sparse, after] = await readAll(inPieces(archive, 1000));
      expect(name(sparse as Read)).toBe("sparse");
      expect(sparse?.size).toBe(900_000n);
      expect(sparse?.text === expected.toString("latin1")).toBe(true);
      expect(after?.text).toBe("seven");
    });
  }

  test("a sparse file beyond 8 GiB", async () => {
    const path = join(scratch, "huge");
    writeFileSync(path, "start");
    truncateSync(path, 9 * 2 ** 30);
    const archive = run(["tar", "-S", "--format=pax", "-cf", "-", "huge"]);
    for await (const { header, content } of readTar(fromBuffer(archive))) {
      expect(header.size).toBe(9n * 2n ** 30n);
      for await (const piece of content) {
        expect(String(Buffer.from(piece).subarray(0, 5))).toBe("start");
        break;
      }
      break;
    }
  });

  test("content that is not asked for is skipped, and cannot be read later", async () => {
    const archive = python("PAX", 'add("a", b"x" * 3000)\nadd("b", b"y")');
    const seen: string[] = [];
    let old: AsyncIterator<Uint8Array> | undefined;
    for await (const { header, content } of readTar(inPieces(archive, 700))) {
      seen.push(name(header));
      expect(await old?.next().catch((err: unknown) => String(err))).toBe(
        old && "EngineError: The content of a tar entry was read after the next entry",
      );
      old ??= content[Symbol.asyncIterator]();
    }
    expect(seen).toEqual(["a", "b"]);
  });

  test("an empty archive, one without end marker, and one with bytes after it", async () => {
    expect(await readAll(fromBuffer(""))).toEqual([]);
    expect(await readAll(fromBuffer(tarEnd))).toEqual([]);
    expect((await readAll(fromBuffer(encodeTarHeader(base)))).map(name)).toEqual(["f"]);
    const unpadded = Buffer.concat([encodeTarHeader({ ...base, size: 600n }), Buffer.alloc(600)]);
    expect((await readAll(fromBuffer(unpadded))).map(name)).toEqual(["f"]);
    const trailing = Buffer.concat([encodeTarHeader(base), tarEnd, Buffer.from("garbage")]);
    expect((await readAll(fromBuffer(trailing))).map(name)).toEqual(["f"]);
  });

  test("a reader that stops early stops the source", async () => {
    let stopped = false;
    async function* source(): Bytes {
      try {
        for (;;) yield Buffer.concat([encodeTarHeader({ ...base, size: 1024n }), Buffer.alloc(1024)]);
      } finally {
        stopped = true;
      }
    }
    for await (const _ of readTar(source())) break;
    expect(stopped).toBe(true);
  });
});

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

describe("writing", () => {
  const headers: TarHeader[] = [
    { ...base, name: Buffer.from("dir"), type: "directory", mode: 0o1755 },
    {
      ...base,
      name: Buffer.from("dir/file"),
      size: 5n,
      mode: 0o4755,
      uid: 1000,
      gid: 3_000_000,
      mtime: 1_000_000_001n,
    },
    { ...base, name: Buffer.from(`dir/${"n".repeat(300)}`), mtime: -5_500_000_000n },
    { ...base, name: Buffer.from(`${"p".repeat(100)}/${"q".repeat(99)}`), mtime: 1_600_000_000_000_000_000n },
    { ...base, name: Buffer.from([0x66, 0xff, 0xfe]) },
    { ...base, name: Buffer.from("dir/é"), type: "symlink", linkname: Buffer.from("t".repeat(200)) },
    { ...base, name: Buffer.from("hard"), type: "hardlink", linkname: Buffer.from("dir/file") },
    { ...base, name: Buffer.from("null"), type: "character", major: 1, minor: 1_048_575 },
    { ...base, name: Buffer.from("loop"), type: "block", major: 7, minor: 1 },
    { ...base, name: Buffer.from("pipe"), type: "fifo" },
    {
      ...base,
      name: Buffer.from("caps"),
      xattrs: new Map([
        ["security.capability", Buffer.from([1, 2])],
        ["user.b", Buffer.from([0, 10, 61])],
      ]),
    },
  ];

  const entries = (): TarEntry[] =>
    headers.map((header) => ({ header, content: fromBuffer("x".repeat(Number(header.size))) }));

  test("what is written is read back alike", async () => {
    const archive = await collect(writeTar(entries()), 1 << 20);
    const back = await readAll(fromBuffer(archive));
    const found: TarHeader[] = back.map(({ text: _, ...header }) => header);
    expect(found).toEqual(headers);
    expect(archive.equals(await collect(writeTar(entries()), 1 << 20))).toBe(true);
  });

  test("others read it", async () => {
    writeFileSync(join(scratch, "ours.tar"), await collect(writeTar(entries()), 1 << 20));
    const listing = run(["tar", "-tvf", "ours.tar", "--numeric-owner", "--quoting-style=escape"]).toString();
    expect(listing).toContain("-rwsr-xr-x 1000/3000000");
    expect(listing).toContain("dir/");
    expect(listing).toContain("hard link to dir/file");
    expect(listing).toContain("1,1048575");
    expect(listing).toContain("f\\377\\376");
    const names = run([
      "python3",
      "-c",
      'import tarfile\nfor m in tarfile.open("ours.tar"): print(m.name, m.mtime, m.pax_headers.get("SCHILY.xattr.user.b"))',
    ]);
    expect(String(names)).toContain(`dir/${"n".repeat(300)} -5.5`);
    expect(String(names)).toContain("dir/é");
  });

  test("plain entries take one block, and large sizes a pax record", () => {
    expect(encodeTarHeader(base).length).toBe(512);
    expect(encodeTarHeader({ ...base, size: 8n * 2n ** 30n - 1n }).length).toBe(512);
    expect(encodeTarHeader({ ...base, size: 8n * 2n ** 30n }).toString("latin1")).toContain("19 size=8589934592\n");
  });

  test("content that is not as long as announced is refused", async () => {
    for (const text of ["", "too long"]) {
      const tar = writeTar([{ header: { ...base, size: 3n }, content: fromBuffer(text) }]);
      expect(await collect(tar, 1 << 20).catch((err: unknown) => err)).toMatchObject({ kind: "invalid" });
    }
    expect(() => encodeTarHeader({ ...base, name: Buffer.from("a\0b") })).toThrow("NUL byte");
  });

  test("files stream through", async () => {
    writeFileSync(join(scratch, "stream.tar"), await collect(writeTar(entries()), 1 << 20));
    expect((await readAll(fromFile(join(scratch, "stream.tar")))).length).toBe(headers.length);
  });
});

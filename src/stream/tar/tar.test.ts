import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collect, fromBuffer, fromFile } from "../bytes.ts";
import type { Bytes, TarEntry, TarHeader } from "../stream.ts";
import { encodeTarHeader, tarEnd } from "./encode.ts";
import { readTar } from "./read.ts";
import { base, inPieces, name, pax, python, type Read, readAll, run as runIn } from "./testing.ts";
import { writeTar } from "./write.ts";

const scratch = mkdtempSync(join(tmpdir(), "berth-tar-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const run = (argv: string[], stdin = "") => runIn(argv, { cwd: scratch, stdin });

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

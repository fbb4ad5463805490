import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { archive } from "../../layers/testing/store.ts";
import { type Tidied, takeContext } from "./receive.ts";
import { selectJob } from "./select.ts";
import { unpackContextJob } from "./unpack-context.ts";

const top = mkdtempSync(join(tmpdir(), "berth-builder-receive-"));
afterAll(() => rmSync(top, { recursive: true, force: true }));
let count = 0;
let from: string;
let to: string;
beforeEach(() => {
  const here = join(top, `${count++}`);
  [from, to] = [join(here, "from"), join(here, "to")];
  mkdirSync(from, { recursive: true });
});

const context = { check: () => undefined, report: () => undefined };

describe("receiving a context", () => {
  const receive = async (tar: Uint8Array, dockerfile = "Dockerfile", apart?: Tidied) => {
    const packed = { archive: join(from, "tar"), index: join(from, `${crypto.randomUUID()}.index`) };
    for (const path of [to, packed.archive]) rmSync(path, { recursive: true, force: true });
    const input = { ...packed, directory: to, dockerfile, ...(apart && { apart }) };
    const found = await takeContext(pieces(tar), { input, context });
    if (found.kind === "index") await unpackContextJob.run({ ...packed, directory: to }, context);
    return { ...found, packed };
  };
  async function* pieces(tar: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < tar.length; at += 700) yield Buffer.from(tar.subarray(at, at + 700));
  }
  const there = (path: string) => existsSync(join(to, path));

  test("unpacks it and reads the Dockerfile", async () => {
    const tar = await archive({ name: "sub/D", text: "FROM a", uid: 7 }, { name: "f", text: "F" });
    expect(await receive(tar, "sub/D")).toMatchObject({ kind: "index", dockerfileText: "FROM a" });
    expect(lstatSync(join(to, "sub/D")).uid).toBe(process.getuid?.() ?? 0);
  });

  test("a Dockerfile's own ignore file applies to all; .dockerignore to itself and the Dockerfile", async () => {
    const own = { name: "Dockerfile.dockerignore", text: "# c\n*.md\n!keep.md\ndir\n!dir/back\n" };
    await receive(
      await archive({ name: "Dockerfile", text: "FROM a" }, own, "a.md", "keep.md", "dir/gone", "dir/back"),
    );
    expect(["a.md", "keep.md", "dir/gone", "dir/back"].map(there)).toEqual([false, true, false, true]);
  });

  test(".dockerignore is for whoever made the archive", async () => {
    const found = await receive(
      await archive({ name: "Dockerfile", text: "FROM a" }, { name: ".dockerignore", text: "*\n" }, "a"),
    );
    expect(found).toMatchObject({ dockerfileText: "FROM a" });
    expect(["a", "Dockerfile", ".dockerignore"].map(there)).toEqual([true, false, false]);
  });

  test("a Dockerfile that comes apart leaves the archive's files as they are", async () => {
    const tar = await archive({ name: "Dockerfile", text: "FROM a" }, { name: ".dockerignore", text: "*\n" }, "a");
    const apart = { dockerfileText: "FROM b", ignore: ["c"] };
    expect(await receive(tar, "none", apart)).toMatchObject({ kind: "index", ...apart });
    expect(["a", "Dockerfile", ".dockerignore"].map(there)).toEqual([true, true, true]);
  });

  test("steps find the same in the archive as in the files that are unpacked from it", async () => {
    const { packed } = await receive(
      await archive(
        { name: "Dockerfile", text: "FROM a" },
        { name: "d/", mode: 0o1750 },
        { name: "d/f", text: "x".repeat(5000), mode: 0o4711, xattrs: new Map([["user.x", Buffer.from("1")]]) },
        { name: "d/f", text: "again" },
        { name: "d/sub/g", text: "", mtime: 1_234_567_891n },
        { name: "d/odd\xff" },
        { name: "l", linkname: "d/../d" },
      ),
    );
    const sources = ["d/*", "l", "Docker*"];
    const input = { root: to, sources, exclude: ["odd*"], deep: false, where: "context", keyword: "ADD" } as const;
    const inFiles = await selectJob.run(input, context);
    rmSync(to, { recursive: true });
    expect(await selectJob.run({ ...input, packed }, context)).toEqual(inFiles);
    expect(inFiles.selected.map(({ real }) => real)).toContain("d");
  });

  test("what only a directory can show is unpacked at once", async () => {
    const dockerfile = { name: "Dockerfile", text: "FROM a" };
    const odd = [
      ["d/", { name: "l", linkname: "d" }, "l/y"],
      [{ name: "f", text: "F" }, { name: "h", type: "hardlink", linkname: "f" } as const],
      [{ name: "p", type: "fifo" } as const],
    ];
    for (const entries of odd) {
      expect(await receive(await archive(dockerfile, ...entries))).toMatchObject({ kind: "directory" });
    }
    expect(lstatSync(join(to, "p")).isFIFO()).toBe(true);
  });

  test("the digest of what may be copied changes with names, modes, contents and targets, and with no time or order", async () => {
    const dockerfile = { name: "Dockerfile", text: "FROM a" };
    const contentOf = async (...entries: Parameters<typeof archive>) => {
      const found = await receive(await archive(dockerfile, ...entries));
      return found.kind === "index" ? found.content : undefined;
    };
    const [file, link] = [
      { name: "f", text: "F" },
      { name: "l", linkname: "f" },
    ];
    const first = await contentOf(file, link);
    expect(first).toMatch(/^sha256:/);
    expect(await contentOf(link, { ...file, mtime: 7n })).toBe(first);
    const others = [
      [{ ...file, text: "G" }, link],
      [{ ...file, mode: 0o755 }, link],
      [{ ...file, name: "g" }, link],
      [file, { ...link, linkname: "g" }],
      [file, link, "empty"],
    ];
    const digests = new Set([first]);
    for (const entries of others) digests.add(await contentOf(...entries));
    expect(digests.size).toBe(others.length + 1);
  });

  test("refuses what is no context, in docker's words", async () => {
    expect(await receive(Buffer.from("FROM a"))).toMatchObject({ kind: "none" });
    await expect(receive(await archive("f"))).rejects.toThrow("Cannot locate specified Dockerfile: Dockerfile");
    await expect(receive(await archive("Dockerfile"))).rejects.toThrow("the Dockerfile (Dockerfile) cannot be empty");
    await expect(receive(await archive("f"), "../f")).rejects.toThrow("forbidden path outside the build context: ../f");
    const leading = await archive({ name: "Dockerfile", linkname: "/etc/passwd" });
    await expect(receive(leading)).rejects.toThrow("Cannot locate specified Dockerfile");
  });
});

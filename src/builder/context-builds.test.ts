import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../errors/mod.ts";
import { readXattrs } from "../host/mod.ts";
import type { Image } from "../images/mod.ts";
import { archive, type Entry } from "../layers/testing/store.ts";
import { parseReference } from "../oci/mod.ts";
import { collect, fromBuffer, readTar } from "../stream/mod.ts";
import { type ContextLine, encodeContextLine } from "../wire/mod.ts";
import type { BuildContext, BuildOptions } from "./builder.ts";
import type { Tidied } from "./jobs/receive.ts";
import { receiveContext } from "./receive.ts";
import { buildOptions, openEngine, type TestEngine } from "./testing/engine.ts";

let ran: string[] = [];
let engine: TestEngine;

/** The shell of these tests: `write FILE TEXT`, `fail`. */
async function openTestEngine(): Promise<TestEngine> {
  const opened = await openEngine({
    process: (root, { spec }) => {
      const command = spec.process.args.at(-1) ?? "";
      const [word, file = "", text = ""] = command.split(" ");
      ran.push(command);
      if (word === "write") writeFileSync(join(root, file), text);
      return word === "fail" ? 1 : 0;
    },
  });
  await opened.image("base", { tar: await archive("etc/", { name: "etc/passwd", text: "app:x:1000:1000::/:\n" }) });
  return opened;
}

beforeAll(async () => {
  engine = await openTestEngine();
});
afterAll(() => engine[Symbol.asyncDispose]());

const signal = new AbortController().signal;

async function received(entries: readonly (Entry | string)[], on = engine): Promise<BuildContext> {
  const { workers, processes } = on.host;
  const options = { directory: join(on.directory, "builds"), workers, processes, signal };
  return receiveContext(fromBuffer(await archive(...entries)), options);
}

async function built(
  dockerfile: string,
  { files = [], on = engine, ...more }: Partial<BuildOptions> & { files?: (Entry | string)[]; on?: TestEngine } = {},
): Promise<{ image: Image; said: string }> {
  ran = [];
  const options = buildOptions(more);
  const context = await received([{ name: "Dockerfile", text: dockerfile }, ...files], on);
  const image = await on.builder.build(context, options);
  expect(readdirSync(join(on.directory, "builds", "contexts"))).toEqual([]);
  return { image, said: options.said.map(({ stream = "" }) => stream).join("") };
}

/** Why it rejects. `expect().rejects` would run the event loop inside of a worker's message, where further messages do not arrive. */
async function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "It did not fail",
    (err: unknown) => messageOf(err),
  );
}

async function fileOf(image: Image, path: string): Promise<string | undefined> {
  const file = await pathOf(image, path);
  return file === undefined ? undefined : readFileSync(file, "utf8");
}

async function pathOf(image: Image, path: string): Promise<string | undefined> {
  for (let name = await engine.images.rootfs(image); name !== undefined; name = engine.snapshots.info(name)?.parent) {
    const file = join(engine.snapshots.directory(name), path);
    if (existsSync(file)) return file;
  }
  return undefined;
}

describe("a COPY that is the last step", () => {
  const text = "FROM base\nCOPY f /etc/f";
  const files = [{ name: "f", text: "F" }];

  test("is a layer that is unpacked when somebody wants its files", async () => {
    const before = [...engine.snapshots.list()].length;
    const { image } = await built(text, { files });
    expect([...engine.snapshots.list()]).toHaveLength(before);
    expect(await fileOf(image, "etc/f")).toBe("F");
    expect([...engine.snapshots.list()]).toHaveLength(before + 1);
    expect(await engine.images.history(image.id)).toMatchObject([{ Size: 8192 }, {}]);
  });

  test("is found again by a later build, which goes on from it", async () => {
    const first = await built(text, { files });
    const again = await built(`${text}\nRUN write more 1`, { files });
    expect(again.said).toContain("Step 2/3 : COPY f /etc/f\n ---> Using cache");
    expect(again.image.config.rootfs.diff_ids.slice(0, 2)).toEqual([...first.image.config.rootfs.diff_ids]);
    expect([await fileOf(again.image, "etc/f"), await fileOf(again.image, "more")]).toEqual(["F", "1"]);
    expect((await built(text, { files })).image.id).toBe(first.image.id);
  });

  test("is found for --cache-from of an image that has it, and of no other", async () => {
    await built("FROM base\nCOPY f /from", { files, tags: ["has"] });
    const again = (cacheFrom: string) => built("FROM base\nCOPY f /from", { files, cacheFrom: [cacheFrom] });
    expect((await again("has")).said).toContain("Using cache");
    expect((await again("base")).said).not.toContain("Using cache");
  });

  test("stays while an image or the cache has it, and no longer", async () => {
    const { image } = await built("FROM base\nCOPY f /kept", { files, tags: ["kept"] });
    const digest = image.config.rootfs.diff_ids.at(-1) ?? "sha256:";
    const isThere = () => [...engine.content.list()].some((blob) => blob.digest === digest);
    await engine.images.remove("kept", { force: true, prune: true });
    await engine.collector.collect();
    expect(isThere()).toBe(true);
    await engine.builder.prune(new Map(), { all: true });
    expect(isThere()).toBe(false);
    expect((await built("FROM base\nCOPY f /kept", { files })).said).not.toContain("Using cache");
  });
});

describe("kept contexts", () => {
  const key = "ab".repeat(32);
  const line = (path: string, text: string, type: ContextLine["type"] = "file") =>
    encodeContextLine({ path, type, mode: type === "directory" ? 0o755 : 0o644, mtime: 0n, text });
  const compare = (lines: readonly string[]) =>
    engine.builder.contexts.compare(key, { bytes: fromBuffer(`${lines.join("\n")}\n`), signal });
  const complete = async (id: string, contents: Readonly<Record<string, string>>, apart?: Tidied) => {
    const entries = Object.entries(contents).map(([name, text]) => ({ name, text }));
    const bytes = fromBuffer(await archive(...entries));
    const options = { bytes, dockerfile: "Dockerfile", signal, ...(apart && { apart }) };
    return engine.builder.contexts.complete(id, options);
  };
  const text = "FROM base\nCOPY . /c\nRUN touch";

  test("the second time only what changed is asked for", async () => {
    const lines = [
      line("Dockerfile", "1"),
      line("a", "2"),
      line("d", "", "directory"),
      line("d/l", "../a", "symlink"),
      line("b", "3"),
    ];
    const first = await compare(lines);
    expect(first.missing).toEqual([0, 1, 4]);
    const one = await engine.builder.build(await complete(first.id, { 0: text, 1: "A", 4: "B" }), buildOptions());
    expect([await fileOf(one, "c/a"), await fileOf(one, "c/d/l"), await fileOf(one, "c/b")]).toEqual(["A", "A", "B"]);
    const second = await compare([...lines.slice(0, 4), line("b", "changed"), line("new", "")]);
    expect(second.missing).toEqual([4, 5]);
    const two = await engine.builder.build(await complete(second.id, { 4: "B2", 5: "N" }), buildOptions());
    expect([await fileOf(two, "c/a"), await fileOf(two, "c/b"), await fileOf(two, "c/new")]).toEqual(["A", "B2", "N"]);
    expect(await engine.builder.usage()).toContainEqual(expect.objectContaining({ Type: "source.local", Size: 33 }));
    const untold = await compare([...lines.slice(0, 4), line("new", "")]);
    expect(untold.missing).toEqual([4]);
    expect(readdirSync(join(engine.directory, "builds", "contexts"))).toEqual([`${untold.id}.manifest`]);
    await engine.builder.build(await complete(untold.id, { 4: "N" }), buildOptions());
    expect(readdirSync(join(engine.directory, "builds", "contexts"))).toEqual([]);
  });

  test("what vanished meanwhile is not there; what is forgotten is asked for again", async () => {
    const { id } = await compare([line("Dockerfile", "1"), line("gone", "")]);
    const image = await engine.builder.build(await complete(id, {}), buildOptions());
    expect(await fileOf(image, "c/gone")).toBeUndefined();
    await engine.builder.prune(new Map(), { all: true });
    const { missing, id: next } = await compare([line("Dockerfile", "1")]);
    expect(missing).toEqual([0]);
    expect(await failure(complete(next, {}))).toContain("Cannot locate specified Dockerfile");
    expect(await failure(complete(next, {}))).toContain("no such build context");
  });

  test("a Dockerfile that comes apart, and attributes, of which a build carries some", async () => {
    const base = { type: "file", mode: 0o644, mtime: 0n, text: "" } as const;
    const values = ["user.a", "security.selinux"].map((name) => [name, "AQI="] as const);
    const lines = [line("Dockerfile", "apart"), encodeContextLine({ ...base, path: "f", xattrs: values })];
    const { id } = await compare(lines);
    const apart = { dockerfileText: text, ignore: [] };
    const image = await engine.builder.build(await complete(id, { 0: "FROM none", 1: "F" }, apart), buildOptions());
    const found = await pathOf(image, "c/f");
    expect([...readXattrs(Buffer.from(found ?? ""))].map(([name, value]) => [name, [...value]])).toEqual([
      ["user.a", [1, 2]],
    ]);
    expect(await fileOf(image, "c/Dockerfile")).toBe("FROM none");
  });

  test("hostile lines and contents", async () => {
    const bad = [
      "x",
      "{}",
      line("../a", ""),
      line("/a", ""),
      line("a//b", ""),
      line("a\nb", "x").replace("a", "\\u0000"),
      line("a", "").replace("]", ',["x"]]'),
      line("a", "").replace("]", ',[["x\\u0000", "" ]]]'),
    ];
    for (const one of bad) expect(await failure(compare([one]))).toContain("malformed line of a build context");
    expect(await failure(engine.builder.contexts.compare("../k", { bytes: fromBuffer(""), signal }))).toContain(
      "SHA-256",
    );
    const twice = await compare([line("Dockerfile", ""), line("Dockerfile", "", "directory")]);
    expect(await failure(complete(twice.id, { 0: "FROM base" }))).toContain("two things named");
    const { id } = await compare([line("Dockerfile", "")]);
    expect(await failure(complete(id, { name: "FROM base" }))).toContain("no number of a file");
    expect(readdirSync(join(engine.directory, "builds", "contexts"))).toEqual([]);
  });
});

describe("why a step ran", () => {
  const dockerfile = "FROM base\nARG V\nRUN write explained $V\nCOPY d /d";
  const explained = async (v: string, files: (Entry | string)[], text = dockerfile) => {
    const { said } = await built(text, { files, args: { V: v }, explain: true });
    return said.split("\n").filter((one) => one.includes("Not cached"));
  };
  const files = [
    { name: "d/a", text: "1" },
    { name: "d/b", text: "1" },
  ];

  test("is told by argument, file and step", async () => {
    const never = " ---> Not cached: it has not run before";
    expect(await explained("1", files)).toEqual([never, never]);
    expect(await explained("1", files)).toEqual([]);
    expect(await explained("1", [{ name: "d/a", text: "2" }, "d/c"])).toEqual([
      " ---> Not cached: changed: a; new: c; gone: b",
    ]);
    expect(await explained("2", files)).toEqual([
      ' ---> Not cached: argument or variable V changed from "1" to "2"',
      " ---> Not cached: a step before it ran",
    ]);
    const { said } = await built(dockerfile, { files, args: { V: "2" }, explain: true, noCache: true });
    expect(said).toContain("Not cached: the cache was not to be used");
  });
});

test("--squash makes one layer of all that the build adds", async () => {
  const dockerfile = "FROM base\nRUN write a 1\nCOPY f /f\nRUN write a 2\nENV B=c";
  const files = [{ name: "f", text: "F" }];
  const plain = await built(dockerfile, { files });
  const { image } = await built(dockerfile, { files, squash: true });
  expect([plain.image, image].map(({ config }) => config.rootfs.diff_ids.length)).toEqual([4, 2]);
  expect([await fileOf(image, "a"), await fileOf(image, "f"), await fileOf(image, "etc/passwd")]).toEqual([
    "2",
    "F",
    expect.stringContaining("app"),
  ]);
  const history = image.config.history?.slice(1).map((entry) => [entry.created_by, entry.empty_layer ?? false]);
  expect(history?.at(0)).toEqual(["RUN /bin/sh -c write a 1 # buildkit", true]);
  expect(image.config.history?.at(-1)).toMatchObject({ comment: "merge of 3 layers" });
  expect((await built(dockerfile, { files, squash: true })).image.id).toBe(image.id);
});

test("an inline cache goes with the image to another daemon", async () => {
  await using other = await openTestEngine();
  const dockerfile = "FROM base\nRUN write a 1\nCOPY f /f\nRUN write b 2";
  const files = [{ name: "f", text: "F" }];
  const { image } = await built(dockerfile, { files, inlineCache: true, tags: ["inline"] });
  for (const { digest } of engine.images.layers(image)) {
    await other.content.put(await engine.content.read(digest));
  }
  await built("FROM base", { on: other });
  await moved(image, other);
  const from = { files, on: other, cacheFrom: ["inline"] };
  const again = await built(dockerfile, from);
  expect([ran, again.said.match(/Using cache/g)?.length]).toEqual([[], 3]);
  expect(again.image.config.rootfs).toEqual(image.config.rootfs);
  await built(dockerfile, { ...from, files: [{ name: "f", text: "G" }] });
  expect(ran).toEqual(["write b 2"]);
});

/** As a pull would: the config's very bytes. */
async function moved(image: Image, to: TestEngine): Promise<void> {
  const config = JSON.parse(Buffer.from(await engine.content.read(image.id)).toString()) as Image["config"];
  const made = await to.images.register({
    config,
    layers: engine.images.layers(image),
    names: [parseReference("inline")],
  });
  expect(made.id).toBe(image.id);
}

describe("SOURCE_DATE_EPOCH", () => {
  const dockerfile = "FROM base\nRUN write made 1\nWORKDIR /w\nCOPY --chown=app . .";

  test("gives the same image on two daemons, whatever is in their caches", async () => {
    await using other = await openTestEngine();
    const args = { SOURCE_DATE_EPOCH: "1000000000" };
    const files = [{ name: "f", text: "F", mtime: 900_000_000_500_000_000n }];
    await built(dockerfile, { files });
    const first = await built(dockerfile, { files, args });
    await Bun.sleep(1100);
    const later = [{ ...files[0], name: "f", mtime: 900_000_000_500_000_000n }];
    const second = await built(dockerfile, { files: later, args, on: other });
    expect(second.image.id).toBe(first.image.id);
    expect(first.said).not.toContain("not consumed");
    expect(first.image.config).toMatchObject({ created: "2001-09-09T01:46:40.000Z" });
    expect(first.image.config.history?.at(-1)?.created).toBe("2001-09-09T01:46:40.000Z");
    for (const digest of first.image.config.rootfs.diff_ids.slice(1)) {
      for await (const { header, content } of readTar(engine.content.open(digest))) {
        await collect(content, 1000);
        expect(header.mtime).toBeLessThanOrEqual(1_000_000_000_000_000_000n);
      }
    }
  });

  test("may be an ARG in front of the first FROM, which a given one replaces", async () => {
    const text = `ARG SOURCE_DATE_EPOCH=1000000000\n${dockerfile}`;
    const created = async (args: Record<string, string>) => (await built(text, { args })).image.config.created;
    expect(await created({})).toBe("2001-09-09T01:46:40.000Z");
    expect(await created({ SOURCE_DATE_EPOCH: "0" })).toBe("1970-01-01T00:00:00.000Z");
    expect(await created({ SOURCE_DATE_EPOCH: "" })).not.toStartWith("2001");
    expect(await failure(built(text, { args: { SOURCE_DATE_EPOCH: "context" } }))).toContain("not implemented");
  });

  test("must be a number", async () => {
    expect(await failure(built(dockerfile, { args: { SOURCE_DATE_EPOCH: "today" } }))).toContain("SOURCE_DATE_EPOCH");
  });
});

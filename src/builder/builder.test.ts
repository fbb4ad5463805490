import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Image } from "../images/mod.ts";
import { archive } from "../layers/testing/store.ts";
import type { RuntimeSpec } from "../runtime/mod.ts";
import { fromBuffer } from "../stream/mod.ts";
import type { BuildOptions, UnavailableImage } from "./builder.ts";
import { receiveContext } from "./receive.ts";
import { buildOptions, openEngine, type TestEngine } from "./testing/engine.ts";

/** The shell of these tests: `write FILE TEXT`, `exit N`, `keep FILE`, `meet`, which returns once two of them run, `hang`. */
let ran: string[] = [];
let meeting = Promise.withResolvers<void>();
let waiting = 0;
let hanging = Promise.withResolvers<void>();

async function shell(root: string, { process, mounts }: RuntimeSpec): Promise<number> {
  const command = process.args.at(-1) ?? "";
  const [word = "", ...args] = command.split(" ");
  ran.push(command);
  switch (word) {
    case "write":
      writeFileSync(join(root, args[0] ?? ""), `${args[1] ?? ""}\n`);
      return 0;
    case "keep":
      copyFileSync(mounts.find(({ destination }) => destination === args[0])?.source ?? "", join(root, "kept"));
      return 0;
    case "exit":
      return Number(args[0]);
    case "meet":
      if (++waiting === 2) meeting.resolve();
      await meeting.promise;
      return 0;
    case "hang":
      await hanging.promise;
      return 0;
    default:
      return 0;
  }
}

let engine: TestEngine;
beforeAll(async () => {
  engine = await openEngine({
    process: (root, { spec }) => shell(root, spec),
    fetchUrl: (url) => ({
      status: url.endsWith("/absent") ? 404 : 200,
      statusText: url.endsWith("/absent") ? "Not Found" : "OK",
      headers: new Headers({ "last-modified": "Tue, 07 Jun 2005 08:09:10 GMT" }),
      bytes: fromBuffer("web"),
    }),
  });
  await engine.image("base", {
    tar: await archive("etc/", { name: "etc/passwd", text: "app:x:1000:1000::/:\n" }),
    run: { Env: ["PATH=/bin"], Cmd: ["sh"] },
  });
});
afterAll(() => engine[Symbol.asyncDispose]());

async function build(files: Readonly<Record<string, string>> | string, more: Partial<BuildOptions> = {}) {
  ran = [];
  waiting = 0;
  meeting = Promise.withResolvers();
  hanging = Promise.withResolvers();
  const all = typeof files === "string" ? { Dockerfile: files } : files;
  const options = buildOptions(more);
  const context = engine.context(all);
  const building = engine.builder
    .build(context, options)
    .finally(() => expect(existsSync(context.directory)).toBe(false));
  return { options, building, text: () => options.said.map(({ stream = "" }) => stream).join("") };
}

const built = async (files: Readonly<Record<string, string>> | string, more?: Partial<BuildOptions>) =>
  (await build(files, more)).building;

/** The error that a promise rejects with. `expect().rejects` would run the event loop inside of a worker's message, where further messages do not arrive. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (err) {
    return err as Error;
  }
  throw new Error("It did not fail");
}

/** What a path of the image holds, looking at its topmost layer that has it. */
async function fileOf(image: Image, path: string): Promise<string | undefined> {
  let name = await engine.images.rootfs(image);
  for (; name !== undefined; name = engine.snapshots.info(name)?.parent) {
    const file = join(engine.snapshots.directory(name), path);
    if (existsSync(file)) return readFileSync(file, "utf8");
  }
  return undefined;
}

function nothingIsLeft(): void {
  const builds = join(engine.directory, "builds");
  expect(readdirSync(join(builds, "work"))).toEqual([]);
  expect([...engine.snapshots.list()].filter(({ state }) => state === "active")).toEqual([]);
  expect(engine.host.mounts.list().filter(({ target }) => target.startsWith(engine.directory))).toEqual([]);
}

describe("a build", () => {
  test("makes an image of layers, configuration and history, tags it and says so", async () => {
    const { building, options, text } = await build(
      { Dockerfile: "FROM base\nENV A=b\nRUN write x one\nWORKDIR /w\nCOPY f .\nRUN nothing", f: "F" },
      { tags: ["made:1", "also"] },
    );
    const image = await building;
    expect(engine.images.get("made:1").id).toBe(image.id);
    expect(engine.images.get("also:latest").id).toBe(image.id);
    expect([await fileOf(image, "x"), await fileOf(image, "w/f"), await fileOf(image, "etc/hosts")]).toEqual([
      "one\n",
      "F",
      undefined,
    ]);
    expect(image.config.rootfs.diff_ids).toHaveLength(4);
    expect(image.run).toMatchObject({ Env: ["PATH=/bin", "A=b"], WorkingDir: "/w", Cmd: ["sh"] });
    const history = image.config.history ?? [];
    expect(history.slice(1).map((entry) => [entry.created_by, entry.empty_layer ?? false])).toEqual([
      ["ENV A=b", true],
      ["RUN /bin/sh -c write x one # buildkit", false],
      ["WORKDIR /w", false],
      ["COPY f . # buildkit", false],
      ["RUN /bin/sh -c nothing # buildkit", true],
    ]);
    expect(text()).toContain("Step 3/6 : RUN write x one\n ---> Running in ");
    expect(options.said.slice(-4)).toEqual([
      { aux: { ID: image.id } },
      { stream: `Successfully built ${image.id.slice(7, 19)}\n` },
      { stream: "Successfully tagged made:1\n" },
      { stream: "Successfully tagged also:latest\n" },
    ]);
    nothingIsLeft();
  });

  test("from scratch, with archives, downloads and here-documents", async () => {
    const image = await built("FROM scratch\nADD http://h/plain /d/\nCOPY <<E /e\ntext\nE");
    expect([await fileOf(image, "d/plain"), await fileOf(image, "e")]).toEqual(["web", "text\n"]);
    const slashes = await built("FROM scratch\nADD --exclude=plain http://h/plain/ http://h/ /d/");
    expect([await fileOf(slashes, "d/plain"), await fileOf(slashes, "d/__unnamed__")]).toEqual(["web", "web"]);
    expect((await failure(built("FROM scratch\nADD http://h/absent /d/"))).message).toContain(
      "failed to GET http://h/absent with status 404 Not Found",
    );
    const wrong = `FROM scratch\nADD --checksum=sha256:${"0".repeat(64)} http://h/plain /d`;
    expect((await failure(built(wrong))).message).toContain("digest mismatch sha256:");
    for (const hash of ["sha256", "sha384", "sha512"]) {
      const right = `${hash}:${createHash(hash).update("web").digest("hex")}`;
      const added = await built(`FROM scratch\nADD --checksum=${right} http://h/plain /d/`);
      expect(await fileOf(added, "d/plain")).toBe("web");
      const other = `${hash}:${createHash(hash).update("other").digest("hex")}`;
      const refused = await failure(built(`FROM scratch\nADD --checksum=${other} http://h/plain /d/`));
      expect(refused.message).toContain(`digest mismatch ${right}: ${other}`);
    }
  });

  test("stages that do not need each other run at the same time, others not at all", async () => {
    const image = await built(`FROM base AS a
RUN meet a
RUN write a A
FROM base AS b
RUN meet b
FROM base AS unused
RUN never
FROM base
COPY --from=a /a /
COPY --from=b /etc /b`);
    expect(ran).not.toContain("never");
    expect([await fileOf(image, "a"), await fileOf(image, "b/passwd")]).toEqual(["A\n", "app:x:1000:1000::/:\n"]);
  });

  test("two builds at once run what they share once", async () => {
    const text = "FROM base\nRUN hang";
    const [one, two] = [await build(text), await build(text)];
    for (let turn = 0; turn < 200 && ran.length === 0; turn++) await Bun.sleep(5);
    hanging.resolve();
    const [a, b] = await Promise.all([one.building, two.building]);
    expect(ran).toEqual(["hang"]);
    expect(a.config.rootfs).toEqual(b.config.rootfs);
  });

  test("a build that leaves a step leaves it to the other that wants it", async () => {
    const stop = new AbortController();
    const [one, two] = [
      await build("FROM base\nRUN hang left", { signal: stop.signal }),
      await build("FROM base\nRUN hang left"),
    ];
    const wants = () => two.text().includes("Step 2/2");
    for (let turn = 0; turn < 400 && !(ran.length > 0 && wants()); turn++) await Bun.sleep(5);
    await Bun.sleep(50);
    stop.abort();
    hanging.resolve();
    await failure(one.building);
    expect((await two.building).config.history).toHaveLength(2);
    expect(ran).toEqual(["hang left"]);
  });

  test("its networks, users, working directories and mounts reach the process", async () => {
    engine.opened.length = 0;
    await built("FROM base\nRUN --network=none quiet\nRUN --mount=type=tmpfs,target=/t mounted");
    expect(engine.opened).toEqual(["open", "close", "open", "connect bridge", "close"]);
    engine.opened.length = 0;
    await built("FROM base\nRUN host", { networkMode: "host" });
    expect(engine.opened).toEqual([]);
    expect((await failure(built("FROM base\nUSER stranger\nRUN x"))).message).toContain("unable to find user stranger");
    expect((await failure(built("FROM base\nRUN --mount=type=secret,id=s,required=true x"))).message).toContain(
      "secret s: not found",
    );
    nothingIsLeft();
  });
});

test("a step's /etc/hosts has the extra hosts, which are checked first", async () => {
  const image = await built("FROM base\nRUN keep /etc/hosts", { extraHosts: ["up:host-gateway", "b:[::1]"] });
  const lines = (await fileOf(image, "kept"))?.split("\n");
  for (const line of ["127.0.0.1\tlocalhost", "10.0.0.1\tup", "::1\tb"]) expect(lines).toContain(line);
  expect(lines?.at(-2)).toMatch(/^10\.0\.0\.2\t[0-9a-z]{12}$/);
  expect((await failure(built("FROM nowhere", { extraHosts: ["x"] }))).message).toBe('bad format for add-host: "x"');
});

describe("the cache", () => {
  const text = "FROM base\nARG V=1\nRUN write v $V\nLABEL a=b";

  test("gives the same image again", async () => {
    const first = await built(text);
    const again = await build(text);
    expect((await again.building).id).toBe(first.id);
    expect(ran).toEqual([]);
    expect(again.text()).toContain(" ---> Using cache\n");
  });

  test("arguments count, proxies and undeclared ones do not", async () => {
    await built(text);
    await built(text, { args: { OTHER: "x", HTTP_PROXY: "p" } });
    expect(ran).toEqual([]);
    await built(text, { args: { V: "2" } });
    expect(ran).toHaveLength(1);
  });

  test("contents of what is copied count, wherever it was made", async () => {
    const staged = (word: string) =>
      `FROM base AS s\nRUN write out same\nRUN write other ${word}\nFROM base\nCOPY --from=s /out /\nRUN after`;
    await built(staged("one"));
    await built(staged("two"));
    expect(ran).toEqual(["write other two"]);
    const copied = "FROM base\nCOPY f /\nRUN copied";
    await built({ Dockerfile: copied, f: "1", g: "1" });
    await built({ Dockerfile: copied, f: "1", g: "2" });
    expect(ran).toEqual([]);
    await built({ Dockerfile: copied, f: "2" });
    expect(ran).toEqual(["copied"]);
  });

  test("--no-cache runs everything, and what it made is used afterwards", async () => {
    const first = await built(text);
    const second = await built(text, { noCache: true });
    expect(ran).toHaveLength(1);
    const third = await built(text);
    expect([third.id === second.id, third.id === first.id]).toEqual([true, first.id === second.id]);
    expect(ran).toEqual([]);
  });

  test("--cache-from limits it to what those images are made of", async () => {
    await built(text, { tags: ["source"] });
    await built(text, { cacheFrom: ["unknown"] });
    expect(ran).toHaveLength(1);
    await built(text, { tags: ["source"] });
    await built(text, { cacheFrom: ["source"] });
    expect(ran).toEqual([]);
  });

  test("a snapshot that is gone is no hit", async () => {
    await built("FROM base\nRUN write gone 1");
    await engine.builder.prune(new Map(), { all: false });
    await built("FROM base\nRUN write gone 1");
    expect(ran).toHaveLength(1);
  });

  test("prune and usage", async () => {
    await built("FROM base\nRUN --mount=type=cache,target=/c write pruned 1");
    const usage = await engine.builder.usage();
    expect(usage.map(({ Type }) => Type)).toContain("exec.cachemount");
    expect(usage.find(({ Description }) => Description.includes("pruned"))).toMatchObject({
      InUse: false,
      Shared: true,
    });
    expect(await engine.builder.prune(new Map([["until", ["24h"]]]), { all: true })).toMatchObject({ deleted: [] });
    expect((await failure(engine.builder.prune(new Map([["colour", ["red"]]]), { all: true }))).message).toContain(
      "invalid filter 'colour'",
    );
    expect((await engine.builder.prune(new Map(), { all: true })).deleted).toHaveLength(usage.length);
    expect(await engine.builder.usage()).toEqual([]);
  });
});

describe("failures", () => {
  test("a step that fails: its code goes to the client, earlier steps stay cached, nothing is left", async () => {
    const { building, options } = await build("FROM base\nRUN write before 1\nRUN exit 3", { tags: ["failed"] });
    const message = "The command '/bin/sh -c exit 3' returned a non-zero code: 3";
    expect(await failure(building)).toMatchObject({ kind: "invalid", message });
    expect(options.said.at(-1)).toEqual({ error: message, errorDetail: { code: 3, message } });
    expect(engine.images.find("failed")).toBeUndefined();
    expect((await failure(built("FROM base\nRUN write before 1\nRUN exit 3"))).message).toContain(message);
    expect(ran).toEqual(["exit 3"]);
    nothingIsLeft();
  });

  test("where a step failed, and the client's own words for it", async () => {
    const words = {
      run: (command: string, code: number) => `${command} is ${code}`,
      missing: (path: string) => `no ${path}`,
      image: ({ name, ref, reason }: UnavailableImage) => `${name} (${ref}): ${reason}`,
    };
    const failing: [string, string, number][] = [
      ["FROM base\nRUN exit 3", "/bin/sh -c exit 3 is 3", 2],
      ["FROM base\n\nCOPY a/nosuch /", "no a/nosuch", 3],
      ["FROM base\nRUN --mount=type=bind,source=nosuch,target=/x true", "no nosuch", 2],
      [
        "FROM base\nCOPY --from=none:1 / /",
        "none:1 (docker.io/library/none:1): manifest for library/none not found",
        2,
      ],
      ["FROM base\nRUNN x", "dockerfile parse error on line 2: unknown instruction: RUNN", 2],
    ];
    for (const [text, message, line] of failing) {
      const err = await failure(built(text, { words }));
      expect([text, err.message]).toEqual([text, expect.stringContaining(message)]);
      const place = engine.builder.failurePlace(err);
      expect([text, place?.lines.line, place?.text(1000)]).toEqual([text, line, text]);
      expect([text, place?.message]).toEqual([text, expect.not.stringContaining(">>>")]);
    }
  });

  test("an image that cannot be had is named", async () => {
    expect(await failure(built("FROM 127.0.0.1:1/no/such:tag"))).toMatchObject({ kind: "not-found" });
    expect((await failure(built("FROM 127.0.0.1:1/no/such:tag"))).message).toContain("no/such");
    expect((await failure(built("FROM Upper"))).message).toContain(
      'failed to parse stage name "Upper": invalid reference format',
    );
    expect((await failure(built("FROM base", { tags: ["no:t:ag"] }))).message).toContain("invalid reference format");
  });

  test("an abort ends the build and leaves nothing", async () => {
    const stop = new AbortController();
    const { building } = await build("FROM base AS a\nRUN hang\nFROM base\nCOPY --from=a / /x", {
      signal: stop.signal,
    });
    for (let turn = 0; turn < 200 && ran.length === 0; turn++) await Bun.sleep(5);
    stop.abort();
    hanging.resolve();
    await failure(building);
    nothingIsLeft();
  });

  test("what a killed daemon left is removed when the builder opens", async () => {
    const work = join(engine.directory, "builds", "work", "left");
    mkdirSync(join(work, "rootfs"), { recursive: true });
    await engine.snapshots.prepare("building/left");
    engine.host.mounts.mount({ type: "tmpfs", source: "tmpfs", options: [] }, join(work, "rootfs"));
    await engine.open();
    nothingIsLeft();
  });
});

describe("contexts", () => {
  const receive = (bytes: Uint8Array) =>
    receiveContext(fromBuffer(bytes), {
      directory: join(engine.directory, "builds"),
      workers: engine.host.workers,
      processes: engine.host.processes,
      signal: new AbortController().signal,
    });

  test("in every compression", async () => {
    const tar = await archive({ name: "Dockerfile", text: "FROM base\nCOPY f /f" }, { name: "f", text: "F" });
    for (const program of [["cat"], ["gzip", "-c"], ["xz", "-c"], ["bzip2", "-c"]]) {
      const packed = Bun.spawnSync(program, { stdin: tar }).stdout;
      const context = await receive(packed);
      expect(await fileOf(await engine.builder.build(context, buildOptions()), "f")).toBe("F");
    }
  });

  test("what is none leaves nothing", async () => {
    expect((await failure(receive(Buffer.from("garbage")))).message).toContain(
      "the build context is not a tar archive",
    );
    expect((await failure(receive(await archive("f")))).message).toContain(
      "Cannot locate specified Dockerfile: Dockerfile",
    );
    expect(readdirSync(join(engine.directory, "builds", "contexts"))).toEqual([]);
  });
});

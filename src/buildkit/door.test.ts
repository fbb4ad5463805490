import { afterAll, beforeAll, expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { control } from "../proto/mod.ts";
import { fromBuffer, readTar } from "../stream/mod.ts";
import { openSession } from "./testing/client.ts";
import { client, context, id, methods, openDoor, type TestDoor, told } from "./testing/door.ts";
import { receiver } from "./testing/receiver.ts";
import type { SentFiles } from "./testing/sender.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door[Symbol.asyncDispose]());

interface Line {
  readonly id?: string;
  readonly aux?: unknown;
  readonly error?: string;
}

async function post(query: Record<string, string>, body?: Uint8Array): Promise<Line[]> {
  const parameters = new URLSearchParams({ version: "2", ...query });
  const init = { unix: door.path, method: "POST", ...(body && { body: body as BodyInit }) };
  const response = await fetch(`http://x/v1.41/build?${parameters}`, init);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  return text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Line]));
}

function traced(lines: readonly Line[]) {
  const traces = lines.filter(({ id: kind }) => kind === "moby.buildkit.trace");
  return told(traces.map(({ aux }) => fromBinary(control.StatusResponseSchema, Buffer.from(String(aux), "base64"))));
}

test("a build takes its files from the session, and its client follows every step", async () => {
  const seen: Headers[] = [];
  await using session = await openSession(door.path, {
    methods,
    routes: client({ context, dockerfile: context }, { seen }),
  });
  door.act = async ({ observer }) => observer?.output(1, "working\n");
  const lines = await post({ session: session.id, remote: "client-session", t: "x:1", buildargs: '{"A":"1"}' });
  expect(lines.at(-1)).toEqual({ id: "moby.image.id", aux: { ID: id } });
  const { options, dockerfileText, names } = door.built.at(-1)!;
  expect(dockerfileText).toBe("FROM base");
  expect(names).toEqual([".dockerignore=*.log\n", "a=A", "Dockerfile=FROM base"]);
  expect([options.tags, options.args]).toEqual([["x:1"], { A: "1" }]);
  expect(seen.map((headers) => [headers.get("dir-name"), headers.get("exclude-patterns")])).toEqual([
    ["dockerfile", null],
    ["context", null],
    ["context", "*.log"],
  ]);
  expect(traced(lines)).toEqual({
    vertices: {
      "[internal] load build definition from Dockerfile": "done",
      "[internal] load .dockerignore": "done",
      "[internal] load build context": "done",
      "[1/2] FROM base": "cached",
      "[2/2] RUN work": "done",
      "exporting to image": "done",
    },
    log: "working\n",
  });
});

test("secrets, agents and credentials are the client's, as far as it has them", async () => {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  const found: unknown[] = [];
  door.act = async ({ session: own, signal }) => {
    found.push(Buffer.from((await own?.secret("known", signal)) ?? []).toString(), await own?.secret("other", signal));
    found.push(await own?.hasAgent("default", signal), await own?.hasAgent("other", signal));
    const agent = own?.agent("default", said(), signal) ?? [];
    found.push(Buffer.concat(await Array.fromAsync(agent)).toString());
    found.push(await own?.credentials("docker.io", signal));
    await own?.secret("broken", signal);
  };
  const lines = await post({ session: session.id, remote: "client-session" });
  const credentials = { username: "u", password: "of registry-1.docker.io" };
  expect(found).toEqual(["hush", undefined, true, false, "default:hello", credentials]);
  expect(lines.at(-1)?.error).toBe("secret broken: secret broken: not found");
  expect(traced(lines).vertices["[2/2] RUN work"]).toContain("secret broken");
});

async function* said() {
  yield Buffer.from("hello");
}

test("what a client does not offer, it is not asked for", async () => {
  const offers = methods.slice(0, 1);
  await using session = await openSession(door.path, {
    methods: offers,
    routes: client({ context, dockerfile: context }),
  });
  const found: unknown[] = [];
  door.act = async ({ session: own, signal }) => {
    found.push(await own?.secret("known", signal), await own?.hasAgent("default", signal));
    found.push(await own?.credentials("docker.io", signal));
  };
  await post({ session: session.id, remote: "client-session" });
  expect(found).toEqual([undefined, false, undefined]);
});

test("a Dockerfile's own ignore file wins; links to Dockerfiles and names in lower case are found", async () => {
  const dockerfile: SentFiles = {
    "app.dockerignore": { content: "b\n" },
    app: { mode: 2 ** 27 + 0o777, linkname: "real/file" },
    "real/file": { content: "FROM linked" },
    dockerfile: { content: "FROM lower" },
  };
  const seen: Headers[] = [];
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile }, { seen }) });
  door.act = async () => undefined;
  await post({ session: session.id, remote: "client-session", dockerfile: "app" });
  expect(door.built.at(-1)?.dockerfileText).toBe("FROM linked");
  expect(seen.at(-1)?.get("exclude-patterns")).toBe("b");
  await post({ session: session.id, remote: "client-session" });
  expect(door.built.at(-1)?.dockerfileText).toBe("FROM lower");
  const missing = await post({ session: session.id, remote: "client-session", dockerfile: "none" });
  expect(missing.at(-1)?.error).toBe("failed to read dockerfile: open none: no such file or directory");
});

test("a Dockerfile or an ignore file of more than a MiB is refused", async () => {
  const large = { content: "# \n".repeat(400_000) };
  for (const [name, files] of Object.entries({
    Dockerfile: { Dockerfile: large },
    ".dockerignore": { ".dockerignore": large },
  })) {
    const dockerfile: SentFiles = { Dockerfile: { content: "FROM x" }, ...files };
    await using session = await openSession(door.path, {
      methods,
      routes: client({ context: dockerfile, dockerfile }),
    });
    const lines = await post({ session: session.id, remote: "client-session" });
    expect(lines.at(-1)?.error).toBe(`${name} is larger than 1 MiB`);
  }
});

test("contexts come as the body, by a request of their own, and from elsewhere", async () => {
  door.act = async () => undefined;
  const empty = Buffer.alloc(1024);
  expect((await post({}, empty)).at(-1)?.aux).toEqual({ ID: id });
  const building = post({ remote: "upload-request", buildid: "b1" });
  expect(await post({ remote: "upload-request", buildid: "upload-request:b1" }, empty)).toEqual([]);
  expect((await building).at(-1)?.aux).toEqual({ ID: id });
  await post({ remote: "https://u:p@example.test/x.tar" });
  expect(door.built.at(-1)?.names).toEqual(["https://u:p@example.test/x.tar"]);
});

test("an output that is no image goes to the client, and nothing stays here", async () => {
  const taken: Uint8Array[] = [];
  const routes = client({ context, dockerfile: context }, { taken });
  door.act = async () => undefined;
  const before = door.discarded.length;
  const build = async (type: string, offers: string[], more: Record<string, string> = {}) => {
    await using session = await openSession(door.path, { methods: offers, routes });
    const outputs = JSON.stringify([{ Type: type, Attrs: { name: "n:1", ...more } }]);
    return await post({ session: session.id, remote: "client-session", t: "x:1", outputs });
  };
  const offers = [...methods, "/moby.filesync.v1.FileSend/diffcopy"];
  expect(traced(await build("docker", offers)).vertices["exporting to client tarball"]).toBe("done");
  expect(Buffer.concat(taken.splice(0)).toString()).toBe(`${id} x:1,n:1`);
  expect(door.built.at(-1)?.options.tags).toEqual([]);
  await build("tar", offers, { "platform-split": "true" });
  const split = await Array.fromAsync(readTar(fromBuffer(Buffer.concat(taken.splice(0)))), ({ header }) => [
    Buffer.from(header.name).toString(),
    header.type === "hardlink" ? Buffer.from(header.linkname ?? []).toString() : "",
  ]);
  expect(split).toContainEqual(["linux_amd64/bin/hard", "linux_amd64/bin/app"]);
  await build("tar", offers);
  const sent = readTar(fromBuffer(Buffer.concat(taken.splice(0))));
  const names = await Array.fromAsync(sent, ({ header }) => Buffer.from(header.name).toString());
  expect(names).toContain("./bin/hard");
  expect((await build("tar", methods)).at(-1)?.error).toContain("the client takes no files");
  expect(door.discarded.length - before).toBe(4);
});

test("an output as files is listed first and sent as it is asked for", async () => {
  const { files, register } = receiver();
  await using session = await openSession(door.path, {
    methods: [...methods, "/moby.filesync.v1.FileSend/diffcopy"],
    routes: (router) => {
      client({ context, dockerfile: context })(router);
      register(router);
    },
  });
  door.act = async () => undefined;
  const outputs = JSON.stringify([{ Type: "local", Attrs: {} }]);
  const lines = await post({ session: session.id, remote: "client-session", outputs });
  expect(lines.at(-1)?.error).toBeUndefined();
  expect([...files.keys()].slice(0, 3)).toEqual(["bin", "bin/app", "bin/f0"]);
  expect(files.get("bin/app")).toEqual({ mode: 2 ** 23 + 0o755, linkname: "", size: 3_000_000 });
  expect(files.get("bin/f29")).toMatchObject({ size: 500_000 });
  expect(files.get("bin/hard")).toMatchObject({ linkname: "bin/app" });
  expect(files.get("bin/soft")).toMatchObject({ mode: 2 ** 27 + 0o755, linkname: "app" });
  expect(files.get("bin")).toMatchObject({ mode: 2 ** 31 + 0o755 });
});

test("a build is cancelled by its id", async () => {
  const started = Promise.withResolvers<void>();
  door.act = async ({ signal }) => {
    started.resolve();
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  };
  const building = post({ buildid: "b2" }, Buffer.alloc(1024));
  await started.promise;
  expect((await fetch("http://x/v1.41/build/cancel?id=b2", { unix: door.path, method: "POST" })).status).toBe(200);
  expect((await building).at(-1)?.error).toBe("the build was canceled");
});

test("what is not there is refused by its name", async () => {
  door.act = async () => undefined;
  const refused: [object[], string][] = [
    [[{ Type: "cloud", Attrs: {} }], "output of type cloud is not implemented"],
    [[{ Type: "registry", Attrs: {} }], "tag is needed when pushing to registry"],
    [[{ Type: "image", Attrs: { compression: "zstd" } }], "output with compression is not implemented"],
  ];
  for (const [outputs, message] of refused) {
    expect((await post({ outputs: JSON.stringify(outputs) })).at(-1)?.error).toContain(message);
  }
  const nobody = await post({ outputs: JSON.stringify([{ Type: "tar" }]) }, Buffer.alloc(1024));
  expect(nobody.at(-1)?.error).toContain("the output goes to the client, but the build names no session");
  expect((await post({ remote: "client-session" })).at(-1)?.error).toContain("the build names no session");
});

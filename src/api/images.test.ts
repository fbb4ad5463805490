import { expect, test } from "bun:test";
import { EngineError } from "../errors/mod.ts";
import { Wire } from "../http/http.suite.ts";
import type { Images, ImageTransfer } from "../images/mod.ts";
import { canonical } from "../oci/mod.ts";
import { api } from "./api.suite.ts";

const image = { id: "sha256:1" } as never;
const ends = async (bytes: AsyncIterable<Uint8Array>) => Buffer.concat(await Array.fromAsync(bytes)).toString();

test("list, inspect, history, tag, remove, prune", async () => {
  const calls: unknown[] = [];
  const images: Partial<Images> = {
    list: async ({ filter, ...options }) => {
      calls.push({ ...options, filter: Object.fromEntries(filter) });
      return [{ Id: "a", Size: 7 } as never];
    },
    inspect: async (name) => ({ Id: name, Size: 7, Config: { Cmd: ["x"] } }) as never,
    history: async () => [],
    attestations: async (name) =>
      name === "x" ? fail() : ["a", "b"].map((one) => ({ predicateType: one, bytes: Buffer.from(`{"is":"${one}"}`) })),
    get: (name) => (name === "x" ? fail() : image),
    tag: (_, ref) => void calls.push(canonical(ref)),
    remove: async (name, options) => {
      calls.push([name, options]);
      return [{ Untagged: name }];
    },
    prune: async () => ({ deleted: [{ Deleted: "b" }], reclaimed: 3 }),
  };
  const fail = () => {
    throw new EngineError("not-found", "No such image: x");
  };
  await using a = await api({ images });
  expect((await a.ask("GET", "/images/json")).body).toEqual([{ Id: "a", Size: 7 }]);
  expect((await a.ask("GET", "/v1.40/images/json?all=1&shared-size=1&filter=ng*")).body).toEqual([
    { Id: "a", Size: 7, VirtualSize: 7 },
  ]);
  expect(calls.splice(0)).toEqual([
    { all: false, sharedSize: false, filter: {} },
    { all: true, sharedSize: true, filter: { reference: ["ng*"] } },
  ]);
  expect((await a.ask("GET", "/images/r:5000/a//b:c/json")).body).toEqual({
    ...{ Id: "r:5000/a//b:c", Size: 7, Config: { Cmd: ["x"] } },
    ...{ Container: "", ContainerConfig: { Cmd: ["x"] } },
  });
  expect((await a.ask("GET", "/images/x/json?manifests=1")).status).toBe(501);
  expect((await a.ask("GET", "/images/a/history")).body).toEqual([]);
  expect((await a.ask("GET", "/images/r:5/a/attestations")).body).toEqual([{ is: "a" }, { is: "b" }]);
  expect((await a.ask("GET", "/images/x/attestations")).status).toBe(404);
  expect((await a.ask("POST", "/images/a/tag?repo=r:5000/n&tag=t")).status).toBe(201);
  expect((await a.ask("POST", "/images/a/tag?repo=n")).status).toBe(201);
  expect((await a.ask("DELETE", "/images/a/b?force=1&noprune=1")).body).toEqual([{ Untagged: "a/b" }]);
  expect(calls).toEqual(["r:5000/n:t", "docker.io/library/n:latest", ["a/b", { force: true, prune: false }]]);
  expect((await a.ask("POST", "/images/prune")).body).toEqual({ ImagesDeleted: [{ Deleted: "b" }], SpaceReclaimed: 3 });
  expect((await a.ask("POST", "/images/x/tag?repo=n")).status).toBe(404);
  for (const query of ["", "repo=UPPER", "repo=n&tag=-", `repo=n@sha256:${"0".repeat(64)}`])
    expect((await a.ask("POST", `/images/a/tag?${query}`)).status).toBe(400);
});

test("what a registry has of a name, by whoever may see it", async () => {
  const digest = `sha256:${"a".repeat(64)}` as const;
  const calls: unknown[] = [];
  const look: ImageTransfer["look"] = async (ref, { auth }) => {
    calls.push([canonical(ref), auth]);
    const named = { mediaType: "application/vnd.oci.image.index.v1+json", digest, size: 7, annotations: {} };
    return { named, platforms: [{ os: "linux", architecture: "arm64" }] };
  };
  await using a = await api({ transfer: { look } });
  const auth = Buffer.from('{"username":"u","password":"p"}').toString("base64url");
  const { body } = await a.ask("GET", "/distribution/r:5000/a/b:c/json", { headers: { "X-Registry-Auth": auth } });
  expect(body).toEqual({
    Descriptor: { mediaType: "application/vnd.oci.image.index.v1+json", digest, size: 7 },
    Platforms: [{ os: "linux", architecture: "arm64" }],
  });
  expect(calls).toEqual([["r:5000/a/b:c", { username: "u", password: "p" }]]);
});

test("pull and push: names, credentials, platform; errors before and after the first line", async () => {
  const calls: unknown[] = [];
  const pull: ImageTransfer["pull"] = async (ref, { progress, auth, platform }) => {
    calls.push([canonical(ref), auth, platform]);
    if (ref.path === "library/absent") throw new EngineError("not-found", "manifest unknown");
    progress({ status: "Pulling" });
    if (ref.path === "library/broken") throw new EngineError("internal", "layer is corrupt");
    return image;
  };
  const push: ImageTransfer["push"] = async (ref, { progress, auth }) => {
    calls.push([canonical(ref), auth]);
    progress({ status: "Pushing" });
  };
  const pullAll: ImageTransfer["pullAll"] = async (ref, options) => {
    calls.push(["all", canonical(ref)]);
    return [await pull({ ...ref, tag: "only" }, options)];
  };
  await using a = await api({ transfer: { pull, pullAll, push } });
  const digest = `sha256:${"a".repeat(64)}`;
  const auth = Buffer.from('{"username":"u","password":"p"}').toString("base64url");
  const ok = await a.ask("POST", "/images/create?fromImage=nginx&tag=1&platform=linux/arm64", {
    headers: { "X-Registry-Auth": auth },
  });
  expect([ok.status, ok.text, ok.headers.get("content-type")]).toEqual([
    200,
    '{"status":"Pulling"}\n',
    "application/json",
  ]);
  await a.ask("POST", `/images/create?fromImage=r:5000/a/b&tag=${digest}`);
  await a.ask("POST", "/images/create?fromImage=a/b:c");
  await a.ask("POST", "/images/create?fromImage=a");
  await a.ask("POST", "/images/r:5000/a/push?tag=t", { headers: { "X-Registry-Auth": "" } });
  expect(calls).toEqual([
    ["docker.io/library/nginx:1", { username: "u", password: "p" }, "linux/arm64"],
    [`r:5000/a/b@${digest}`, undefined, undefined],
    ["docker.io/a/b:c", undefined, undefined],
    ["all", "docker.io/library/a"],
    ["docker.io/library/a:only", undefined, undefined],
    ["r:5000/a:t", undefined],
  ]);
  expect(await a.ask("POST", "/images/create?fromImage=absent&tag=1")).toMatchObject({
    status: 404,
    body: { message: "manifest unknown" },
  });
  expect(await a.ask("POST", "/images/create?fromImage=broken&tag=1")).toMatchObject({
    status: 200,
    text: '{"status":"Pulling"}\n{"errorDetail":{"message":"layer is corrupt"},"error":"layer is corrupt"}\n',
  });
  for (const query of ["", "fromImage=UPPER", "fromImage=a&tag=-x"])
    expect((await a.ask("POST", `/images/create?${query}`)).status).toBe(400);
  expect((await a.ask("POST", "/images/create?fromImage=a", { headers: { "X-Registry-Auth": "%" } })).status).toBe(400);
});

test("load answers 200 whatever comes, import and save stream", async () => {
  const calls: unknown[] = [];
  const transfer: Partial<ImageTransfer> = {
    load: async (tar, { quiet }) => {
      calls.push([await ends(tar), quiet]);
      throw new EngineError("invalid", "not a tar");
    },
    import: async (tar, { signal: _, progress, ...options }) => {
      calls.push([await ends(tar), options]);
      progress({ status: "sha256:1" });
      return image;
    },
    save: (refs) =>
      (async function* () {
        if (refs.includes("x")) throw new EngineError("not-found", "No such image: x");
        yield Buffer.from(refs.join("+"));
      })(),
  };
  await using a = await api({ transfer });
  expect(await a.ask("POST", "/images/load?quiet=1", { body: "garbage" })).toMatchObject({
    status: 200,
    body: { error: "not a tar", errorDetail: { message: "not a tar" } },
  });
  const imported = await a.ask("POST", "/images/create?fromSrc=-&repo=r&tag=t&message=m&changes=CMD%20x", {
    body: "tar",
  });
  expect(imported.text).toBe('{"status":"sha256:1"}\n');
  expect(calls).toEqual([
    ["garbage", true],
    ["tar", { changes: ["CMD x"], message: "m", name: { domain: "docker.io", path: "library/r", tag: "t" } }],
  ]);
  expect((await a.ask("POST", "/images/create?fromSrc=http://x/y.tar")).status).toBe(501);
  expect(await a.ask("GET", "/images/get?names=a&names=b,c")).toMatchObject({ status: 200, text: "a+b+c" });
  const one = await a.ask("GET", "/images/r:5000/a/get");
  expect([one.text, one.headers.get("content-type")]).toEqual(["r:5000/a", "application/x-tar"]);
  expect((await a.ask("GET", "/images/get?names=x")).status).toBe(404);
  expect((await a.ask("GET", "/images/get")).status).toBe(400);
});

test("a client that leaves aborts its pull", async () => {
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const pull: ImageTransfer["pull"] = async (_, { signal, progress }) => {
    progress({ status: "Pulling" });
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    return image;
  };
  const watched: ImageTransfer["pull"] = (ref, options) => pull(ref, options).finally(resolve);
  await using a = await api({ transfer: { pull: watched } });
  const wire = new Wire(a.path).send(
    "POST /images/create?fromImage=a&tag=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
  );
  await wire.text("Pulling");
  wire.socket.destroy();
  await aborted;
});

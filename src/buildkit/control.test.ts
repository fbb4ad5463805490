import { afterAll, beforeAll, expect, test } from "bun:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { EngineError } from "../errors/mod.ts";
import { Code, callOver, serveOver } from "../grpc/mod.ts";
import { digestOf } from "../oci/mod.ts";
import { control, gateway, upload } from "../proto/mod.ts";
import { fromBuffer, readTar, writeTar } from "../stream/mod.ts";
import { hijacked, openSession } from "./testing/client.ts";
import { connections } from "./testing/connections.ts";
import { client, context, id, methods, openDoor, type TestDoor, told } from "./testing/door.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await openDoor();
});
afterAll(() => door[Symbol.asyncDispose]());

type Request = Omit<MessageInitShape<typeof control.SolveRequestSchema>, "$typeName">;

async function controlled() {
  return callOver(await hijacked(door.path, "/grpc"));
}

function solving(ref: string, session: string, more: Request = {}) {
  return { ref, session, frontend: "dockerfile.v0", exporter: "moby", exporterAttrs: { name: "x:1,y:2" }, ...more };
}

test("the Control API builds by dockerfile.v0, and whoever knows the reference follows", async () => {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  using caller = await controlled();
  const service = caller.client(control.Control);
  door.act = async ({ observer }) => observer?.output(1, "working\n");
  const following = Array.fromAsync(service.status({ ref: "r1" }));
  const frontendAttrs = {
    target: "t",
    "build-arg:A": "1",
    "label:l": "2",
    "no-cache": "",
    "add-hosts": "h=1.2.3.4",
    "vcs:source": "s",
    "shm-size": "9",
    ulimit: "nofile=1:2",
  };
  const { exporterResponse } = await service.solve(solving("r1", session.id, { frontendAttrs }));
  expect(exporterResponse).toEqual({
    "containerimage.config.digest": id,
    "containerimage.digest": id,
    "image.name": "x:1,y:2",
  });
  const { options } = door.built.at(-1)!;
  expect(options).toMatchObject({
    tags: ["x:1", "y:2"],
    ...{ target: "t", args: { A: "1" }, labels: { l: "2" }, noCache: true, extraHosts: ["h:1.2.3.4"], shmSize: 9 },
    ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
  });
  expect(told(await following).vertices["[2/2] RUN work"]).toBe("done");
  expect((await service.listWorkers({})).record[0]?.platforms[0]?.architecture).toBe("amd64");
  expect((await service.info({})).buildkitVersion?.package).toBe("berth");
  expect((await service.diskUsage({})).record).toEqual([]);
});

test("several outputs of one build: each is told apart, and what is pushed tells its manifest", async () => {
  const taken: Uint8Array[] = [];
  const outputs: (string | null)[] = [];
  await using session = await openSession(door.path, {
    methods: [...methods, "/moby.filesync.v1.FileSend/diffcopy"],
    routes: client({ context, dockerfile: context }, { taken, outputs }),
  });
  using caller = await controlled();
  const service = caller.client(control.Control);
  door.act = async () => undefined;
  const name = "reg.test/app:1,docker.io/o/app";
  const exporters = [
    { type: "oci", attrs: { name: "x:1", compression: "zstd" } },
    { type: "image", attrs: { name, push: "true", "name-canonical": "true" } },
    { type: "docker", attrs: { dest: "-" } },
  ];
  const before = { built: door.built.length, discarded: door.discarded.length };
  const { exporterResponse } = await service.solve(solving("o1", session.id, { exporters }));
  expect(door.built.slice(before.built).map(({ options }) => options.tags)).toEqual([name.split(",")]);
  expect(taken.map((piece) => Buffer.from(piece).toString())).toEqual([`${id} x:1 zstd`, `${id} `]);
  expect([outputs, door.discarded.length]).toEqual([["0", "2"], before.discarded]);
  const ids = [id, id].map((one) => one.slice(0, 10));
  expect(door.pushed.splice(0)).toEqual([
    `${ids[0]} reg.test/app:1 of reg.test`,
    `${ids[1]} docker.io/o/app:latest of registry-1.docker.io`,
  ]);
  expect(exporterResponse).toMatchObject({ "image.name": name, "containerimage.config.digest": id });
  const status = await Array.fromAsync(service.status({ ref: "o1" }));
  const statuses = status.flatMap((one) => one.statuses.map(({ name }) => name));
  const { vertices } = told(status);
  expect(statuses).toContain("pushing layers");
  expect(statuses).toContain(`pushing manifest for reg.test/app:1@${digestOf("m")}`);
  expect(vertices).toMatchObject({ "exporting to client tarball": "done", "exporting to image": "done" });
});

test("an image is pushed by its digest alone, and need not stay; names are looked at before anything is built", async () => {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  using caller = await controlled();
  const service = caller.client(control.Control);
  door.act = async () => undefined;
  const push = { push: "true", name: "reg.test/app" };
  const discarded = door.discarded.length;
  const exporterAttrs = { ...push, store: "false", "push-by-digest": "true" };
  const { exporterResponse } = await service.solve(solving("p1", session.id, { exporter: "image", exporterAttrs }));
  expect(door.pushed.splice(0)[0]).toContain(" reg.test/app of reg.test");
  expect(exporterResponse["containerimage.digest"]).toBe(digestOf("m"));
  const descriptor = Buffer.from(exporterResponse["containerimage.descriptor"] ?? "", "base64").toString();
  expect(JSON.parse(descriptor)).toMatchObject({ digest: digestOf("m"), size: 1 });
  expect([door.built.at(-1)?.options.tags, door.discarded.length]).toEqual([[], discarded + 1]);
  const built = door.built.length;
  const bad: [Record<string, string>, string][] = [
    [{ push: "true" }, "tag is needed when pushing to registry"],
    [{ ...push, name: "a:b", "push-by-digest": "true" }, "can't push tagged ref a:b by digest"],
    [{ push: "maybe" }, 'non-bool value for push: "maybe"'],
  ];
  for (const [at, [attrs, message]] of bad.entries()) {
    const failure = service.solve(solving(`p2${at}`, session.id, { exporter: "image", exporterAttrs: attrs }));
    await expect(failure).rejects.toMatchObject({ rawMessage: message });
  }
  expect(door.built.length).toBe(built);
});

test("a build for several platforms is an index, or a directory for each; none stays here", async () => {
  const taken: Uint8Array[] = [];
  await using session = await openSession(door.path, {
    methods: [...methods, "/moby.filesync.v1.FileSend/diffcopy"],
    routes: client({ context, dockerfile: context }, { taken }),
  });
  using caller = await controlled();
  const service = caller.client(control.Control);
  door.act = async () => undefined;
  const several = { platform: "linux/amd64,linux/arm64", "multi-platform": "true" };
  const frontendAttrs = { ...several, "attest:provenance": "mode=min,inline-only=true" };
  const exporters = [
    { type: "oci", attrs: { name: "x:1" } },
    { type: "image", attrs: { name: "reg.test/app:1", push: "true" } },
    { type: "tar", attrs: {} },
  ];
  const before = { built: door.built.length, discarded: door.discarded.length };
  const { exporterResponse } = await service.solve(solving("m1", session.id, { frontendAttrs, exporters }));
  const built = door.built.slice(before.built).map(({ options }) => [options.platform, options.tags]);
  expect(built).toEqual([
    ["linux/arm64", []],
    ["linux/amd64", []],
  ]);
  expect(door.pushed.splice(0)).toEqual(["amd64+arm64 reg.test/app:1"]);
  expect(exporterResponse).toMatchObject({ "containerimage.digest": digestOf("i"), "image.name": "reg.test/app:1" });
  const [archive, ...files] = taken;
  expect(Buffer.from(archive ?? []).toString()).toBe("amd64+arm64 x:1");
  const names = await Array.fromAsync(readTar(fromBuffer(Buffer.concat(files))), ({ header }) =>
    Buffer.from(header.name).toString(),
  );
  for (const platform of ["amd64", "arm64"]) expect(names).toContain(`linux_${platform}/bin/app`);
  expect(door.discarded.length).toBe(before.discarded + 2);
  const listed = await Array.fromAsync(service.listenBuildHistory({ ref: "m1", earlyExit: true }));
  expect(listed.map(({ record }) => Object.keys(record?.results ?? {}))).toEqual([["linux/amd64", "linux/arm64"]]);
  const { vertices } = told(await Array.fromAsync(service.status({ ref: "m1" })));
  for (const platform of ["amd64", "arm64"]) expect(vertices[`[linux/${platform} 2/2] RUN work`]).toBe("done");
  expect(vertices).toMatchObject({ "exporting to client tarball": "done", "exporting to image": "done" });
  const docker = service.solve(solving("m2", session.id, { frontendAttrs, exporter: "docker" }));
  await expect(docker).rejects.toMatchObject({
    rawMessage: "docker exporter does not currently support exporting manifest lists",
  });
});

test("a client that steers its build returns what it wants built", async () => {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  using caller = await controlled();
  const bridge = caller.client(gateway.LLBBridge);
  door.act = async () => undefined;
  const headers = { "buildkit-controlapi-buildid": "r2" };
  const solved = caller.client(control.Control).solve(solving("r2", session.id, { frontend: "" }));
  const pong = await bridge.ping({}, { headers });
  expect([pong.workers.length, pong.llbCaps.map(({ id }) => id)]).toEqual([1, ["exporter.image.attestations"]]);
  const frontendOpt = { target: "steered" };
  const { result } = await bridge.solve({ frontend: "dockerfile.v0", frontendOpt }, { headers });
  await bridge.return(result ? { result } : {}, { headers });
  expect((await solved).exporterResponse["containerimage.digest"]).toBe(id);
  expect(door.built.at(-1)?.options.target).toBe("steered");
});

test("named contexts are images, and directories of the client for as long as the build takes", async () => {
  const shared = { lib: { content: "L" } };
  await using session = await openSession(door.path, {
    methods,
    routes: client({ context, dockerfile: context, shared }),
  });
  using caller = await controlled();
  const before = door.discarded.length;
  door.act = async () => expect(door.discarded.length).toBe(before) as unknown as undefined;
  const frontendAttrs = { "context:base": "docker-image://debian:12", "context:lib": "local:shared" };
  await caller.client(control.Control).solve(solving("c1", session.id, { frontendAttrs }));
  expect(door.built.at(-1)?.options.contexts).toEqual({ base: "debian:12", lib: "sha256:lib" });
  expect(door.discarded.slice(before)).toEqual(["sha256:lib"]);
});

test("a named context from a URL is what an ADD of it makes, for as long as the build takes", async () => {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  using caller = await controlled();
  const service = caller.client(control.Control);
  door.act = async () => undefined;
  const before = { built: door.built.length, discarded: door.discarded.length };
  const frontendAttrs = { target: "t", "build-arg:A": "1", "context:lib": "https://x.test/a.git#v$1" };
  const cache = {
    imports: [{ type: "registry", attrs: { ref: "a" } }],
    exports: [{ type: "registry", attrs: { ref: "b" } }],
  };
  await service.solve(solving("g1", session.id, { frontendAttrs, cache }));
  const [lib, app] = door.built.slice(before.built);
  expect(lib?.dockerfileText).toBe('FROM scratch\nADD ["https://x.test/a.git#v\\\\$1","/"]\n');
  expect(lib?.options).toMatchObject({ tags: [], args: {}, quiet: true, cacheImports: [], cacheExports: [] });
  expect(lib?.options.target).toBeUndefined();
  expect(app?.options.contexts).toEqual({ lib: id });
  expect(door.discarded.slice(before.discarded)).toEqual([id]);
  const { vertices } = told(await Array.fromAsync(service.status({ ref: "g1" })));
  expect(vertices["[context lib] https://x.test/a.git#v$1"]).toBe("done");
  const user = service.solve(solving("g2", session.id, { frontendAttrs: { "context:x": "https://u:p@x.test/a.git" } }));
  await expect(user).rejects.toMatchObject({ rawMessage: expect.stringContaining("the named context x has a user") });
});

test("caches to read and to write are the builder's business, each once; what it made is named to the client", async () => {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  using caller = await controlled();
  const service = caller.client(control.Control);
  const manifest = { mediaType: "m", digest: `sha256:${"b".repeat(64)}`, size: 1 } as const;
  door.act = async ({ cachePublished }) => cachePublished?.({ directory: "d", manifest });
  const imports = JSON.stringify([{ Type: "registry", Attrs: { ref: "a/b:c" } }]);
  const from = { imports: ["a/b:c", "d"].map((ref) => ({ type: "registry", attrs: { ref } })), importRefs: ["e"] };
  const exports = [{ type: "inline" }, { type: "local", attrs: { dest: "d", mode: "max" } }];
  const cache = { ...from, exports, exportRef: "x" };
  const frontendAttrs = { "cache-imports": imports, "cache-from": "f,g" };
  const { exporterResponse } = await service.solve(solving("i1", session.id, { frontendAttrs, cache }));
  expect(JSON.parse(exporterResponse["cache.manifest"] ?? "")).toEqual(manifest);
  const { options } = door.built.at(-1) ?? {};
  expect(options).toMatchObject({ cacheFrom: [], inlineCache: true });
  expect(options?.cacheImports).toEqual(
    ["a/b:c", "f", "g", "d", "e"].map((ref) => ({ type: "registry", attributes: { ref } })),
  );
  expect(options?.cacheExports).toEqual([
    { type: "local", attributes: { dest: "d", mode: "max" } },
    { type: "registry", attributes: { ref: "x" } },
  ]);
  const broken = service.solve(solving("i2", session.id, { frontendAttrs: { "cache-imports": "{" } }));
  await expect(broken).rejects.toMatchObject({ rawMessage: expect.stringContaining("invalid cache-imports") });
});

test("a context from the client's standard input comes through the session; the Dockerfile may be beside one from elsewhere", async () => {
  const asked: (string | null)[] = [];
  await using session = await openSession(door.path, {
    methods,
    routes: (router) => {
      client({ beside: { Dockerfile: { content: "FROM beside\n" } } })(router);
      router.service(upload.Upload, {
        async *pull(_, { requestHeader }) {
          asked.push(requestHeader.get("urlpath"));
          for await (const data of writeTar([])) yield { data };
        },
      });
    },
  });
  using caller = await controlled();
  door.act = async () => undefined;
  const service = caller.client(control.Control);
  const context = "http://buildkit-session/abc";
  await service.solve(solving("u1", session.id, { frontendAttrs: { context } }));
  expect([asked, door.built.at(-1)?.names]).toEqual([["/abc"], []]);
  for (const [index, one] of [context, "https://example.test/x.git"].entries()) {
    const frontendAttrs = { context: one, dockerfilekey: "beside" };
    await service.solve(solving(`u2${index}`, session.id, { frontendAttrs }));
    expect(door.built.at(-1)?.dockerfileText).toBe("FROM beside\n");
  }
});

test("a build of nothing only says whom its client talks to", async () => {
  await using session = await openSession(door.path, { methods, routes: client({}) });
  using caller = await controlled();
  const bridge = caller.client(gateway.LLBBridge);
  const nothing = (ref: string, exporter: string) => {
    const solved = caller.client(control.Control).solve({ ref, session: session.id, exporter });
    const returned = bridge.return({ result: {} }, { headers: { "buildkit-controlapi-buildid": ref } });
    return Promise.all([solved, returned]);
  };
  expect((await nothing("e1", ""))[0].exporterResponse).toEqual({});
  await expect(nothing("e2", "moby")).rejects.toMatchObject({
    rawMessage: expect.stringContaining("without a Dockerfile"),
  });
});

test("attestations are the builder's, but what is inline has no place in files", async () => {
  await using session = await openSession(door.path, {
    methods: [...methods, "/moby.filesync.v1.FileSend/DiffCopy"],
    routes: client({ context, dockerfile: context }),
  });
  using caller = await controlled();
  door.act = async () => undefined;
  const service = caller.client(control.Control);
  const frontendAttrs = {
    "attest:sbom": "type=sbom",
    "attest:provenance": "type=provenance,mode=max",
    "vcs:source": "https://token@h/r.git",
  };
  await service.solve(solving("a1", session.id, { frontendAttrs }));
  expect(door.built.at(-1)?.options.attest).toEqual({
    sbom: true,
    provenance: { mode: "max", version: "v1", reproducible: false, inlineOnly: false },
    vcs: { source: "https://h/r.git" },
  });
  const byDefault = { "attest:provenance": "mode=min,inline-only=true" };
  await service.solve(solving("a2", session.id, { frontendAttrs: byDefault }));
  expect(door.built.at(-1)?.options.attest.provenance).toMatchObject({ mode: "min", inlineOnly: true });
  await service.solve(solving("a3", session.id, { frontendAttrs: byDefault, exporter: "tar" })).catch(() => undefined);
  expect(door.built.at(-1)?.options.attest).toEqual({ sbom: false });
});

test("a session through the Control API itself", async () => {
  using caller = await controlled();
  const service = caller.client(control.Control);
  const [here, there] = connections();
  const stop = new AbortController();
  void serveOver(there, { signal: stop.signal, routes: client({ context, dockerfile: context }) });
  const pieces = async function* () {
    for await (const data of here.input) yield { data };
  };
  const headers = { "x-docker-expose-session-uuid": "s9", "x-docker-expose-session-grpc-method": methods.join(", ") };
  const running = (async () => {
    for await (const { data } of service.session(pieces(), { headers })) await here.write(data);
  })();
  door.act = async () => undefined;
  await service.solve(solving("r3", "s9"));
  expect(door.built.at(-1)?.dockerfileText).toBe("FROM base");
  stop.abort();
  await running.catch(() => undefined);
});

test("the Control API refuses by name what it does not do, and says failures as gRPC does", async () => {
  await using session = await openSession(door.path, { methods, routes: client({ context, dockerfile: context }) });
  using caller = await controlled();
  const service = caller.client(control.Control);
  const cases: [Request, string][] = [
    [{ definition: { def: [new Uint8Array(1)] } }, "an LLB definition"],
    [{ exporter: "cloud" }, "output of type cloud"],
    [{ exporterAttrs: { "name-canonical": "true" } }, "output with name-canonical and without push is"],
    [
      { exporter: "image", exporterAttrs: { push: "1", name: "a", "registry.insecure": "1" } },
      "output with registry.insecure",
    ],
    [
      { exporter: "image", exporterAttrs: { push: "1", name: "a", compression: "estargz" } },
      "output with compression=estargz",
    ],
    [{ exporter: "oci", exporterAttrs: { "rewrite-timestamp": "0" } }, "output with rewrite-timestamp=false"],
    [{ frontend: "custom" }, "the frontend custom"],
    [{ cache: { exports: [{ type: "s3" }] } }, "cache-to type=s3"],
    [{ cache: { imports: [{ type: "gha" }] } }, "cache-from type=gha"],
    [{ frontendAttrs: { "attest:sbom": "generator=x" } }, "generator of the attestation sbom"],
    [{ frontendAttrs: { "attest:sbom": "" }, exporter: "tar" }, "the attestation sbom with an output of type tar"],
    [
      { frontendAttrs: { "attest:provenance": "mode=min" }, exporter: "local" },
      "the attestation provenance with an output of type local",
    ],
    [{ frontendAttrs: { "context:x": "oci-layout://y" } }, "the named context x=oci-layout://y"],
    [{ frontendAttrs: { "context:x": "input:y" } }, "the named context x=input:y"],
    [
      { frontendAttrs: { platform: "linux/amd64,linux/arm64" } },
      "Multi-platform build is not supported for the docker driver: an image here is for one platform",
    ],
    [
      {
        frontendAttrs: { platform: "linux/amd64,linux/arm64" },
        exporter: "tar",
        exporterAttrs: { "platform-split": "0" },
      },
      "several platforms with platform-split=false",
    ],
  ];
  for (const [index, [more, message]] of cases.entries()) {
    const failure = service.solve(solving(`n${index}`, session.id, more));
    await expect(failure).rejects.toMatchObject({
      code: Code.Unimplemented,
      rawMessage: expect.stringContaining(message),
    });
  }
  door.act = async () => {
    throw new EngineError("invalid", "it broke");
  };
  const failure = service.solve(solving("n", session.id));
  await expect(failure).rejects.toMatchObject({ code: Code.Unknown, rawMessage: "it broke" });
  const status = await Array.fromAsync(service.status({ ref: "n" }));
  expect(told(status).vertices["[2/2] RUN work"]).toBe("it broke");
});

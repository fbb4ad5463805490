import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { call, dial } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { everything } from "../support/everything.ts";
import {
  type BuiltLayer,
  busyboxRootfs,
  dockerArchive,
  gzipLayer,
  importBusybox,
  ociLayout,
  plainLayer,
  sha256,
  zstdLayer,
} from "../support/images.ts";
import { freePort } from "../support/registry.ts";
import { type Entry, tar } from "../support/tar.ts";
import { until } from "../support/until.ts";

let engine: Engine;
let before: object;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());
beforeEach(async () => {
  before = await everything(engine);
});
afterEach(async () => {
  await until("nothing is left behind", async () => Bun.deepEquals(await everything(engine), before)).catch(
    () => undefined,
  );
  expect(await everything(engine)).toEqual(before);
});

const saved = (image: string) => Bun.$`docker -H ${engine.host} save ${image}`.quiet().arrayBuffer();
const load = (archive: Uint8Array) => cli("docker", engine.host, ["load"], { stdin: archive });

async function refusesToLoad(archive: Uint8Array, why: RegExp): Promise<void> {
  const { code, stdout, stderr } = await load(archive);
  expect({ code, text: stdout + stderr }).toEqual({ code: 1, text: expect.stringMatching(why) });
}

describe("load", () => {
  const rootfs = busyboxRootfs({ name: "of-its-own", data: "no other image has this layer" });
  const spoil = (bytes: Uint8Array) => {
    const spoiled = Buffer.from(bytes);
    spoiled.fill(0xa5, spoiled.length >> 1, (spoiled.length >> 1) + 64);
    return spoiled;
  };

  test.each([
    ["plain", plainLayer],
    ["gzip", gzipLayer],
    ["zstd", zstdLayer],
  ] as [string, (bytes: Uint8Array) => BuiltLayer][])("a %s layer that is corrupt or cut short", async (_, pack) => {
    const layer = pack(rootfs);
    const why =
      /Unpack layer sha256:[0-9a-f]{64}: (its content has the digest|Cannot decompress|Bad tar archive|Truncated tar archive)/;
    await refusesToLoad(dockerArchive("bad:1", [{ ...layer, blob: spoil(layer.blob) }]), why);
    await refusesToLoad(
      dockerArchive("bad:1", [{ ...layer, blob: layer.blob.subarray(0, layer.blob.length - 1000) }]),
      why,
    );
    const change = (files: Map<string, string | Uint8Array>) => {
      const name = `blobs/sha256/${sha256(layer.blob).slice(7)}`;
      files.set(name, spoil(layer.blob));
    };
    await refusesToLoad(ociLayout("bad:1", [layer], { change }), /digest|does not match/i);
  });

  test("a corrupt layer whose content is known already is not taken for that layer", async () => {
    const known = plainLayer(busyboxRootfs());
    const { code } = await load(dockerArchive("bad:1", [{ ...known, blob: spoil(known.blob) }]));
    if (code !== 0) return;
    await Bun.write(`${engine.directory}/saved.tar`, new Response(await saved("bad:1")));
    await engine.ok("rmi", "bad:1");
    const names = (await Bun.$`tar -xOf ${engine.directory}/saved.tar manifest.json`.json())[0].Layers;
    const layer = await Bun.$`tar -xOf ${engine.directory}/saved.tar ${names[0]}`.quiet().arrayBuffer();
    expect(sha256(new Uint8Array(layer))).toBe(known.diffId);
  });

  test("the second layer's fault takes the first one with it", async () => {
    const good = gzipLayer(tar({ name: "good", data: "x".repeat(100_000) }));
    await refusesToLoad(dockerArchive("bad:1", [good, { ...good, diffId: sha256("other") }]), /digest|does not match/i);
  });

  test("a config or manifest that is none, or is missing", async () => {
    const layer = plainLayer(tar({ name: "x" }));
    const withFile = (name: string, text: string) =>
      dockerArchive("bad:1", [layer], (files) => void files.set(name, text));
    await refusesToLoad(withFile("manifest.json", "{ not json"), /manifest\.json/);
    await refusesToLoad(withFile("manifest.json", "{}"), /manifest\.json/);
    await refusesToLoad(withFile("config.json", "[]"), /config/i);
    await refusesToLoad(withFile("config.json", '{"os":"linux"}'), /rootfs|architecture/i);
    await refusesToLoad(
      dockerArchive("bad:1", [layer], (files) => void files.delete("0/layer.tar")),
      /0\/layer\.tar/,
    );
    await refusesToLoad(
      dockerArchive("bad:1", [layer], (files) => void files.delete("config.json")),
      /config\.json/,
    );
    await refusesToLoad(dockerArchive("../../escaped:1", [layer]), /invalid reference/i);
    await refusesToLoad(tar({ name: "only", data: "a file" }), /manifest\.json|not an image|index\.json/i);
  });

  test("names in the manifest that lead out of the archive", async () => {
    const layer = plainLayer(tar({ name: "x" }));
    const manifest = JSON.stringify([
      { Config: "../../../../etc/passwd", RepoTags: ["bad:1"], Layers: ["/etc/shadow"] },
    ]);
    await refusesToLoad(
      dockerArchive("bad:1", [layer], (files) => void files.set("manifest.json", manifest)),
      /passwd|shadow/,
    );
  });

  test("media types that nobody knows", async () => {
    const layer = { ...plainLayer(tar({ name: "x" })), mediaType: "application/vnd.example.unheard" };
    await refusesToLoad(ociLayout("bad:1", [layer]), /application\/vnd\.example\.unheard/);
    await refusesToLoad(
      ociLayout("bad:1", [plainLayer(tar({ name: "x" }))], { manifestType: "application/vnd.example.manifest" }),
      /application\/vnd\.example\.manifest/,
    );
  });

  test("nothing, noise and half an archive", async () => {
    await refusesToLoad(new Uint8Array(0), /./);
    await refusesToLoad(Buffer.alloc(100_000, "noise "), /./);
    const archive = dockerArchive("bad:1", [plainLayer(rootfs)]);
    await refusesToLoad(archive.subarray(0, archive.length >> 1), /./);
  });
});

describe("the API", () => {
  test("a body that is not JSON, not an object, empty, or far too long", async () => {
    const create = "POST /v1.51/containers/create";
    for (const body of ["{", "[]", '"x"', "null", "5", ""]) {
      const { status, json } = await call(engine, create, body);
      expect([body, status, typeof json?.message]).toEqual([body, 400, "string"]);
    }
    const long = await call(engine, create, JSON.stringify({ Image: "busybox", Env: ["x".repeat(10 << 20)] })).catch(
      () => undefined,
    );
    if (long) expect([400, 413]).toContain(long.status);
    expect((await call(engine, "GET /_ping")).text).toBe("OK");
  });

  test("fields of the wrong type are named", async () => {
    for (const [field, value] of Object.entries({
      Cmd: 5,
      Env: "x",
      Labels: [1],
      ExposedPorts: "80",
      HostConfig: [],
      Image: 7,
      Tty: "yes",
    })) {
      const { status, json } = await call(engine, "POST /containers/create", { Image: "busybox", [field]: value });
      expect([field, status]).toEqual([field, 400]);
      expect(json.message).toContain(field);
    }
  });

  test("what is not HTTP is answered or cut off, and harms nobody", async () => {
    for (const bytes of [
      "\r\n\r\n",
      "GET\r\n\r\n",
      `GET /${"x".repeat(200_000)} HTTP/1.1\r\n\r\n`,
      "\x16\x03\x01\x02\x00\x01\x00",
    ]) {
      const socket = await dial(engine);
      const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()).on("error", () => resolve()));
      socket.resume();
      socket.end(bytes);
      await closed;
    }
    expect((await call(engine, "GET /_ping")).text).toBe("OK");
  });

  test("unknown images and containers", async () => {
    expect(await call(engine, "POST /containers/create", { Image: "nothing:here" })).toMatchObject({
      status: 404,
      json: { message: "No such image: nothing:here" },
    });
    expect(await call(engine, "GET /images/nothing:here/json")).toMatchObject({
      status: 404,
      json: { message: "No such image: nothing:here" },
    });
    expect(await call(engine, "POST /containers/nobody/start")).toMatchObject({
      status: 404,
      json: { message: "No such container: nobody" },
    });
    expect(await call(engine, "DELETE /containers/nobody")).toMatchObject({
      status: 404,
      json: { message: "No such container: nobody" },
    });
    expect((await call(engine, "POST /containers/create?name=no%2Fgood", { Image: "busybox" })).status).toBe(400);
    expect((await call(engine, "GET /containers/json?filters=%7B")).status).toBe(400);
    expect((await call(engine, "POST /containers/create", { Image: "UPPER:x:y" })).status).not.toBe(201);
  });
});

describe("containers that cannot be", () => {
  const create = (config: object) => call(engine, "POST /containers/create", { Image: "busybox", ...config });

  test("are refused when they are made, or when they start, and leave nothing", async () => {
    const bad: [object, RegExp][] = [
      [{ Cmd: ["a\0b"] }, /NUL|null byte|invalid/i],
      [{ Entrypoint: ["/bin/\0sh"] }, /NUL|null byte|invalid/i],
      [{ Env: ["A=\0"] }, /NUL|null byte|invalid/i],
      [{ User: "nobody-here" }, /unable to find user nobody-here/],
      [{ WorkingDir: "relative" }, /relative.*absolute|not an absolute path/],
      [{ Hostname: "x".repeat(65) }, /invalid hostname/i],
      [{ HostConfig: { NetworkMode: "container:nobody" } }, /nobody/],
      [{ HostConfig: { Binds: ["relative:/x:rw:z:y"] } }, /invalid volume specification|invalid mode/],
      [{ HostConfig: { RestartPolicy: { Name: "sometimes" } } }, /invalid restart policy/],
      [{ HostConfig: { LogConfig: { Type: "nonsense" } } }, /nonsense/],
      [{ HostConfig: { Runtime: "nonsense" } }, /nonsense/],
      [{ HostConfig: { PortBindings: { "80/sctp9": [{}] } } }, /sctp9/],
      [{ HostConfig: { Sysctls: { "kernel.hostname": "x" } } }, /kernel\.hostname/],
      [
        {
          HostConfig: {
            Devices: [{ PathOnHost: "/dev/nothing", PathInContainer: "/dev/x", CgroupPermissions: "rwm" }],
          },
        },
        /\/dev\/nothing/,
      ],
    ];
    for (const [config, why] of bad) {
      const created = await create(config);
      let answer = created;
      if (created.status === 201) {
        answer = await call(engine, `POST /containers/${created.json.Id}/start`);
        await call(engine, `DELETE /containers/${created.json.Id}?force=1&v=1`);
      }
      const label = JSON.stringify(config).slice(0, 100);
      expect([label, [400, 404, 409, 500].includes(answer.status)]).toEqual([label, true]);
      expect([label, answer.json.message]).toEqual([label, expect.stringMatching(why)]);
    }
  });

  test("a variable that is longer than the kernel takes ends the container with the reason in its log", async () => {
    const { json } = await create({ Env: [`A=${"x".repeat(1 << 20)}`] });
    const started = await call(engine, `POST /containers/${json.Id}/start`);
    const code = await engine.ok("wait", json.Id);
    expect(code).not.toBe("0");
    const { stdout, stderr } = await engine.docker("logs", json.Id);
    expect(started.text + stdout + stderr).toMatch(/argument list too long/i);
    await engine.ok("rm", json.Id);
  });

  test("a name in use", async () => {
    const { json } = await call(engine, "POST /containers/create?name=taken", { Image: "busybox" });
    const again = await call(engine, "POST /containers/create?name=taken", { Image: "busybox" });
    expect(again.status).toBe(409);
    expect(again.json.message).toContain(`The container name "/taken" is already in use by container "${json.Id}"`);
    await engine.ok("rm", "taken");
  });

  test("a port in use, by us and by another process", async () => {
    const port = await freePort();
    const publish = { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: `${port}` }] } }, Cmd: ["sleep", "100000"] };
    const first = (await create(publish)).json.Id;
    const second = (await create(publish)).json.Id;
    expect((await call(engine, `POST /containers/${first}/start`)).status).toBe(204);
    const taken = await call(engine, `POST /containers/${second}/start`);
    expect(taken.status).toBe(500);
    expect(taken.json.message).toContain(`Bind for 0.0.0.0:${port} failed: port is already allocated`);
    await engine.ok("rm", "-f", first);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, "0.0.0.0", resolve));
    expect((await call(engine, `POST /containers/${second}/start`)).json.message).toContain("address already in use");
    other.close();
    expect((await call(engine, `POST /containers/${second}/start`)).status).toBe(204);
    await engine.ok("rm", "-f", second);
  });
});

describe("builds", () => {
  const build = (text: string, ...more: Entry[]) =>
    call(engine, "POST /build", tar({ name: "Dockerfile", data: text }, ...more));

  test("Dockerfiles that are wrong name the line", async () => {
    const bad: [string, RegExp][] = [
      ["", /cannot be empty|file with no instructions/i],
      ["RUN x\n", /no build stage|FROM/i],
      ["FROM busybox\nNONSENSE x\n", /NONSENSE/i],
      ["FROM busybox\nCOPY nothing /x\n", /nothing/],
      ["FROM busybox\nCOPY ../../../etc/passwd /x\n", /passwd/],
      ["FROM busybox\nCOPY --from=nobody /x /y\n", /nobody/],
      ["FROM busybox AS x\nFROM y\n", /./],
      ["FROM busybox\nENV A\n", /ENV/],
      ["FROM busybox\nUSER stranger\nRUN true\n", /stranger/],
    ];
    for (const [text, why] of bad) {
      const { status, text: said } = await build(text);
      expect([text, status === 200 ? said.includes('"error"') : status >= 400]).toEqual([text, true]);
      expect([text, said]).toEqual([text, expect.stringMatching(why)]);
    }
    await engine.docker("builder", "prune", "-a", "-f");
  });

  test("a context that is cut short, is noise, or has no Dockerfile", async () => {
    const context = tar({ name: "Dockerfile", data: "FROM busybox\n" }, { name: "big", data: Buffer.alloc(1 << 20) });
    for (const body of [context.subarray(0, 300_000), Buffer.alloc(10_000, "noise "), tar({ name: "other" })]) {
      const { status, text } = await call(engine, "POST /build", body);
      expect(status >= 400 || text.includes('"error"')).toBe(true);
    }
  });

  test("a Dockerfile elsewhere stays in the context", async () => {
    writeFileSync(`${engine.directory}/escapee`, "FROM busybox\n");
    const answer = await call(
      engine,
      `POST /build?dockerfile=${encodeURIComponent(`../../../../../..${engine.directory}/escapee`)}`,
      tar({ name: "x" }),
    );
    expect(answer.status >= 400 || answer.text.includes('"error"')).toBe(true);
  });
});

test("import of what is no archive", async () => {
  mkdirSync(`${engine.directory}/x`, { recursive: true });
  for (const stdin of [
    "not a tar at all, but long enough to look into ".repeat(50),
    Buffer.from(Bun.gzipSync(Buffer.alloc(5000))).subarray(0, 15),
  ]) {
    const { code } = await cli("docker", engine.host, ["import", "-", "noise:1"], { stdin });
    expect(code).not.toBe(0);
  }
});

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());
beforeEach(async () => {
  const left = (await engine.ok("volume", "ls", "-q")).split("\n").filter((name) => name !== "");
  if (left.length > 0) await engine.ok("volume", "rm", ...left);
});

const sh = (script: string, ...flags: string[]) => engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);

describe.each(["docker", "berth"] as const)("%s volume", (which) => {
  const volume = (...argv: string[]) => cli(which, engine.host, ["volume", ...argv]);

  test("create, ls, inspect, rm", async () => {
    expect((await volume("create", "--label", "a=b", "data")).stdout).toBe("data\n");
    expect((await volume("create", "data")).stdout).toBe("data\n");
    expect((await volume("ls", "-q")).stdout).toBe("data\n");
    const [inspected] = JSON.parse((await volume("inspect", "data")).stdout);
    expect(inspected).toMatchObject({ Name: "data", Driver: "local", Labels: { a: "b" }, Scope: "local" });
    expect(existsSync(inspected.Mountpoint)).toBe(true);
    expect((await volume("rm", "data")).stdout).toBe("data\n");
    expect(existsSync(inspected.Mountpoint)).toBe(false);
    expect((await volume("rm", "data")).stderr).toMatch(/no such volume/i);
    expect((await volume("inspect", "data")).stderr).toMatch(/no such volume/i);
    expect((await volume("rm", "-f", "data")).code).toBe(0);
  });

  test("one without a name gets one, and a bad name is refused", async () => {
    expect((await volume("create")).stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect((await volume("create", "../out")).stderr).toMatch(/includes invalid characters for a local volume name/);
  });

  test("one in use is not removed", async () => {
    const id = await engine.ok("create", "-v", "used:/d", "busybox");
    const { code, stderr } = await volume("rm", "used");
    expect(code).toBe(1);
    expect(stderr).toContain(`volume is in use - [${id}]`);
    await engine.ok("rm", id);
    expect((await volume("rm", "used")).code).toBe(0);
  });

  test("ls with filters, and prune", async () => {
    await engine.ok("volume", "create", "--label", "keep", "kept");
    const anonymous = await engine.ok("volume", "create");
    const id = await engine.ok("create", "-v", "busy:/d", "busybox");
    expect((await volume("ls", "-q", "--filter", "dangling=false")).stdout).toBe("busy\n");
    expect((await volume("ls", "-q", "--filter", "label=keep")).stdout).toBe("kept\n");
    expect((await volume("ls", "-q", "--filter", "name=ep")).stdout).toBe("kept\n");
    const pruned = (await volume("prune", "-f")).stdout;
    expect(pruned).toContain(anonymous);
    // Before 1.42 of the API, which the CLI 20 does not know, prune takes those with a name, too.
    expect(pruned.includes("kept")).toBe(isOld(which));
    expect((await volume("ls", "-q")).stdout.trim().split("\n").sort()).toEqual(
      isOld(which) ? ["busy"] : ["busy", "kept"],
    );
    if (!isOld(which)) expect((await volume("prune", "-a", "-f")).stdout).toContain("kept");
    await engine.ok("rm", id);
  });
});

test("what one container writes into a named volume the next one reads", async () => {
  await sh("echo kept > /d/file", "-v", "shared:/d");
  expect(await sh("cat /e/file", "-v", "shared:/e")).toBe("kept");
  expect((await engine.docker("run", "--rm", "-v", "shared:/d:ro", "busybox", "touch", "/d/x")).stderr).toContain(
    "Read-only file system",
  );
});

test("an empty volume takes what the image has there, with owners and modes; a full one keeps its own", async () => {
  await Bun.write(
    `${engine.directory}/ctx/Dockerfile`,
    "FROM busybox\nRUN mkdir /data && echo image > /data/f && chmod 640 /data/f && chown 1000:1000 /data/f /data && chmod 750 /data\n",
  );
  await engine.ok("build", "-q", "-t", "withdata", `${engine.directory}/ctx`);
  const look = "cat /data/f; stat -c '%a %u %g' /data /data/f";
  expect(await engine.ok("run", "--rm", "-v", "v1:/data", "withdata", "sh", "-c", look)).toBe(
    "image\n750 1000 1000\n640 1000 1000",
  );
  await sh("echo mine > /data/f; rm -f /data/g", "-v", "v1:/data");
  expect(await engine.ok("run", "--rm", "-v", "v1:/data", "withdata", "cat", "/data/f")).toBe("mine");
  const nocopy = await engine.ok("run", "--rm", "-v", "v2:/data:nocopy", "withdata", "ls", "/data");
  expect(nocopy).toBe("");
  await engine.ok("rmi", "withdata");
});

test("bind mounts show the host's directory and file, and write through", async () => {
  const directory = `${engine.directory}/bind`;
  mkdirSync(directory);
  writeFileSync(`${directory}/in`, "from the host\n");
  expect(await sh("cat /b/in; echo back > /b/out", "-v", `${directory}:/b`)).toBe("from the host");
  expect(readFileSync(`${directory}/out`, "utf8")).toBe("back\n");
  expect(await sh("cat /etc/single", "-v", `${directory}/in:/etc/single`)).toBe("from the host");
  const readOnly = await engine.docker("run", "--rm", "-v", `${directory}:/b:ro`, "busybox", "touch", "/b/x");
  expect(readOnly.stderr).toContain("Read-only file system");
});

test("-v makes a host directory that is missing, --mount refuses", async () => {
  const missing = `${engine.directory}/missing`;
  await sh("true", "-v", `${missing}/a:/b`);
  expect(statSync(`${missing}/a`).isDirectory()).toBe(true);
  const { code, stderr } = await engine.docker(
    "run",
    "--rm",
    "--mount",
    `type=bind,src=${missing}/b,dst=/b`,
    "busybox",
    "true",
  );
  expect(code).toBe(125);
  expect(stderr).toContain(`bind source path does not exist: ${missing}/b`);
  expect(existsSync(`${missing}/b`)).toBe(false);
});

test("--mount of volumes and tmpfs", async () => {
  await sh("echo x > /d/f", "--mount", "type=volume,src=mm,dst=/d");
  const bad = await engine.docker(
    "run",
    "--rm",
    "--mount",
    "type=volume,src=mm,dst=/d,readonly",
    "busybox",
    "touch",
    "/d/g",
  );
  expect(bad.stderr).toContain("Read-only file system");
  expect(
    await sh(
      "df -k /t | tail -1 | awk '{print $2}'; stat -c %a /t",
      "--mount",
      "type=tmpfs,dst=/t,tmpfs-size=1048576,tmpfs-mode=700",
    ),
  ).toBe("1024\n700");
});

test("rm -v takes anonymous volumes along, and leaves named ones", async () => {
  const id = await engine.ok("run", "-d", "-v", "/anonymous", "-v", "named:/n", "busybox", "true");
  await engine.ok("wait", id);
  expect((await engine.ok("volume", "ls", "-q")).split("\n")).toHaveLength(2);
  await engine.ok("rm", "-v", id);
  expect(await engine.ok("volume", "ls", "-q")).toBe("named");
  const second = await engine.ok("run", "-d", "-v", "/anonymous", "busybox", "true");
  await engine.ok("wait", second);
  await engine.ok("rm", second);
  expect((await engine.ok("volume", "ls", "-q")).split("\n")).toHaveLength(2);
});

test("an image's VOLUME is an anonymous volume", async () => {
  await Bun.write(
    `${engine.directory}/vol/Dockerfile`,
    "FROM busybox\nRUN mkdir /var/v && echo seed > /var/v/f\nVOLUME /var/v\n",
  );
  await engine.ok("build", "-q", "-t", "withvolume", `${engine.directory}/vol`);
  const id = await engine.ok("run", "-d", "withvolume", "cat", "/var/v/f");
  await engine.ok("wait", id);
  expect(await engine.ok("logs", id)).toBe("seed");
  const mounts = JSON.parse(await engine.ok("inspect", "-f", "{{json .Mounts}}", id));
  expect(mounts).toMatchObject([{ Type: "volume", Destination: "/var/v", Driver: "local", RW: true }]);
  expect(mounts[0].Name).toMatch(/^[0-9a-f]{64}$/);
  await engine.ok("rm", "-v", id);
  expect(await engine.ok("volume", "ls", "-q")).toBe("");
  await engine.ok("rmi", "withvolume");
});

test("what a container leaves of anonymous volumes, prune takes", async () => {
  await engine.ok("rm", await engine.ok("create", "-v", "/f", "-v", "named:/g", "busybox", "true"));
  const { json } = await call(engine, "POST /v1.51/volumes/prune");
  expect(json.VolumesDeleted).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  expect(await engine.ok("volume", "ls", "-q")).toBe("named");
  await engine.ok("volume", "rm", "named");
});

test("rm -v of the last container that has an anonymous volume by --volumes-from removes it", async () => {
  const owner = await engine.ok("create", "-v", "/f", "busybox", "true");
  const name = await engine.ok("inspect", "-f", "{{(index .Mounts 0).Name}}", owner);
  const heir = await engine.ok("create", "--volumes-from", owner, "busybox", "true");
  const exists = async () => (await engine.docker("volume", "inspect", name)).code === 0;
  await engine.ok("rm", "-v", owner);
  expect(await exists()).toBe(true);
  await engine.ok("rm", "-v", heir);
  expect(await exists()).toBe(false);
});

test("--volumes-from", async () => {
  const id = await engine.ok("run", "-d", "-v", "from:/f", "busybox", "sh", "-c", "echo here > /f/x");
  await engine.ok("wait", id);
  expect(await sh("cat /f/x", "--volumes-from", id)).toBe("here");
  expect(
    (await engine.docker("run", "--rm", "--volumes-from", `${id}:ro`, "busybox", "touch", "/f/y")).stderr,
  ).toContain("Read-only file system");
  await engine.ok("rm", id);
});

test("mounts that make no sense are refused, and leave nothing", async () => {
  const refused = async (...flags: string[]) => {
    const { code, stderr } = await engine.docker("create", ...flags, "busybox");
    expect(code).toBe(1);
    return stderr;
  };
  expect(await refused("-v", "name:relative")).toMatch(/invalid mount path: 'relative' mount path must be absolute/);
  expect(await refused("-v", "aa:/d", "-v", "bb:/d")).toContain("Duplicate mount point: /d");
  expect(await refused("-v", "xx:/d:nonsense")).toMatch(/invalid mode: nonsense/);
  expect(await refused("-v", "xx:/")).toMatch(/destination can't be '\/'/);
  expect(await refused("--volumes-from", "nobody")).toContain("nobody");
  expect(await engine.ok("volume", "ls", "-q")).toBe("");
  expect(await engine.ok("ps", "-aq")).toBe("");
});

test("a mount through a link in the image stays inside the container", async () => {
  await Bun.write(
    `${engine.directory}/link/Dockerfile`,
    `FROM busybox\nRUN mkdir -p ${engine.directory}/target && ln -s ${engine.directory}/target /out && ln -s ../../../../../../tmp /up\n`,
  );
  await engine.ok("build", "-q", "-t", "withlink", `${engine.directory}/link`);
  await engine.ok("run", "--rm", "-v", "vv:/out/made", "-v", "ww:/up/made", "withlink", "true");
  expect(existsSync(`${engine.directory}/target`)).toBe(false);
  expect(existsSync("/tmp/made")).toBe(false);
  await engine.ok("rmi", "withlink");
});

test("what a volume holds on disk goes with it", async () => {
  const before = readdirSync(`${engine.directory}/data/volumes`);
  await sh("dd if=/dev/zero of=/d/big bs=1k count=64 2>/dev/null; mkdir -p /d/deep/er", "-v", "gone:/d");
  await engine.ok("volume", "rm", "gone");
  expect(readdirSync(`${engine.directory}/data/volumes`)).toEqual(before);
  expect((await call(engine, "GET /volumes")).json.Volumes).toEqual([]);
});

test("df measures what volumes occupy, and who holds them", async () => {
  await sh("dd if=/dev/zero of=/d/f bs=1k count=512 2>/dev/null", "-v", "sized:/d");
  await sh("dd if=/dev/zero of=/d/f bs=1 count=1 seek=100M 2>/dev/null", "-v", "sparse:/d");
  const id = await engine.ok("create", "-v", "sized:/d", "busybox");
  const { json } = await call(engine, "GET /system/df?type=volume");
  const found = json.Volumes.map((one: { Name: string; UsageData: object }) => [one.Name, one.UsageData]);
  const { sized, sparse } = Object.fromEntries(found);
  expect(sized.RefCount).toBe(1);
  expect(sized.Size).toBeGreaterThanOrEqual(512 << 10);
  expect(sized.Size).toBeLessThan(600 << 10);
  expect(sparse.Size).toBeLessThan(64 << 10);
  expect(await engine.ok("system", "df", "-v")).toContain("sized");
  await engine.ok("rm", id);
});

test("only cluster volumes can be updated, and there are none", async () => {
  await engine.ok("volume", "create", "local");
  const { status, json } = await call(engine, "PUT /volumes/local?version=1", { Spec: {} });
  expect([status, json.message]).toEqual([
    503,
    "volume update only valid for cluster volumes, but swarm is unavailable",
  ]);
});

test("prune by label and its opposite; --rm and rm -v leave what has a name", async () => {
  for (const [name, label] of [
    ["one", "a=1"],
    ["two", "a=2"],
    ["three", "b"],
  ] as const)
    await engine.ok("volume", "create", "--label", label, name);
  expect(await engine.ok("volume", "prune", "-af", "--filter", "label=a=1")).toContain("one");
  expect(await engine.ok("volume", "prune", "-af", "--filter", "label!=b")).toContain("two");
  expect((await engine.docker("volume", "prune", "-f", "--filter", "nope=1")).stderr).toContain(
    "invalid filter 'nope'",
  );
  await sh("true", "-v", "three:/t", "-v", "/anonymous");
  expect(await engine.ok("volume", "ls", "-q")).toBe("three");
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

/** A directory of the host's user 1000 and group 1001, with a file of theirs and one of root's. */
function tree(engine: Engine, name: string): string {
  const path = `${engine.directory}/${name}`;
  mkdirSync(path, { mode: 0o755 });
  for (const file of ["mine", "roots"]) writeFileSync(`${path}/${file}`, `${file}\n`);
  chownSync(`${path}/mine`, 1000, 1001);
  chownSync(path, 1000, 1001);
  return path;
}

const owner = (path: string) => {
  const { uid, gid } = statSync(path);
  return [uid, gid];
};
/** All but the networks', and the namespace that shows layers to all containers. */
const ownMounts = (engine: Engine) =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(`${engine.directory}/`) && !/\/netns\/|\/userns\/\+[0-9a-f]{16} /.test(line));

describe.each([[], ["--userns-remap", "default"]].map((flags) => ({ flags })))("daemon $flags", ({ flags }) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await startEngine(flags);
    await importBusybox(engine);
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  const look = "stat -c '%u %g' /d /d/mine /d/roots; echo x > /d/new; stat -c '%u %g' /d/new";

  test.each(["docker", "berth"] as const)("%s -v: the owner's files are the container's user's", async (which) => {
    const path = tree(engine, which);
    const run = (...argv: string[]) => cli(which, engine.host, ["run", "--rm", ...argv]);
    const asRoot = await run("-v", `${path}:/d:idmap`, "busybox", "sh", "-c", look);
    expect([asRoot.stdout, asRoot.stderr]).toEqual(["0 0\n0 0\n65534 65534\n0 0\n", ""]);
    expect(owner(`${path}/new`)).toEqual([1000, 1001]);
    const asUser = await run("-u", "33:44", "-v", `${path}:/d:idmap`, "busybox", "sh", "-c", `rm /d/new; ${look}`);
    expect([asUser.stdout, asUser.stderr]).toEqual(["33 44\n33 44\n65534 65534\n33 44\n", ""]);
    const readOnly = await run("-v", `${path}:/d:ro,idmap`, "busybox", "touch", "/d/no");
    expect(readOnly.stderr).toContain("Read-only file system");
    expect(ownMounts(engine)).toEqual([]);
  });

  test("explicit ranges, a file, and a part of a volume", async () => {
    const path = tree(engine, "explicit");
    const mount = (how: string) => ["--mount", `type=bind,src=${path},dst=/d,idmap=${how}`];
    const berth = (...argv: string[]) => engine.berth("run", "--rm", ...argv);
    const ranged = await berth(
      ...mount("uids=1000-5-1#0-6-1;gids=1001-7-1"),
      "busybox",
      "stat",
      "-c",
      "%u %g",
      "/d/mine",
      "/d/roots",
    );
    expect([ranged.stdout, ranged.stderr]).toEqual(["5 7\n6 65534\n", ""]);
    const file = await berth("-v", `${path}/mine:/f:idmap`, "busybox", "stat", "-c", "%u %g %n", "/f");
    expect(file.stdout).toBe("0 0 /f\n");
    await engine.ok(
      "run",
      "--rm",
      "-v",
      "vol:/v",
      "busybox",
      "sh",
      "-c",
      "mkdir /v/p; echo x > /v/p/f; chown -R 9:9 /v/p",
    );
    const part = "type=volume,src=vol,dst=/d,volume-subpath=p,idmap";
    const inside = await berth("--mount", part, "busybox", "stat", "-c", "%u %g", "/d", "/d/f");
    expect(inside.stdout).toBe("0 0\n0 0\n");
    await engine.ok("volume", "rm", "vol");
    expect(ownMounts(engine)).toEqual([]);
  });

  test("cp of a container that does not run sees the same owners, and restarts keep them", async () => {
    const path = tree(engine, "copied");
    const id = await engine.ok("create", "-v", `${path}:/d:idmap`, "busybox", "stat", "-c", "%u", "/d/mine");
    const { stdout } = Bun.spawnSync([
      "sh",
      "-c",
      `docker -H ${engine.host} cp ${id}:/d/mine - | tar -tvf - --numeric-owner`,
    ]);
    expect(stdout.toString()).toContain(" 0/0 ");
    for (let round = 0; round < 2; round++) expect(await engine.ok("start", "-a", id)).toBe("0");
    const [told] = JSON.parse(await engine.ok("inspect", id));
    expect(told.HostConfig.Binds).toEqual([`${path}:/d:idmap`]);
    expect(told.Mounts[0]).toMatchObject({ Source: path, Mode: "idmap" });
    await engine.ok("rm", id);
    expect(ownMounts(engine)).toEqual([]);
  });
});

describe("what cannot be", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await startEngine();
    await importBusybox(engine);
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  test("is refused by name", async () => {
    const path = tree(engine, "refused");
    const refused = async (...argv: string[]) => (await engine.berth("create", ...argv, "busybox")).stderr;
    expect(await refused("-v", `${path}:/d:idmap=x`)).toContain("invalid idmap 'x'");
    expect(await refused("-v", `${path}:/d:idmap,rshared`)).toContain("idmap and propagation mode rshared");
    expect(await refused("--mount", "type=tmpfs,dst=/d,idmap")).toContain("cannot use 'idmap' with mount type 'tmpfs'");
    const { status, json } = await call(engine, "POST /containers/create", {
      Image: "busybox",
      HostConfig: { Mounts: [{ Type: "image", Source: "busybox", Target: "/d", IDMap: "owner" }] },
    });
    expect([status, json.message]).toEqual([
      400,
      'invalid mount config for type "image": field IDMap must not be specified',
    ]);
    const { code, stderr } = await engine.docker("run", "--rm", "-v", "/proc:/d:idmap", "busybox", "true");
    expect([code, stderr]).toEqual([
      125,
      expect.stringContaining("idmap: the file system of /proc (proc), or one mounted below it, cannot show"),
    ]);
    expect(ownMounts(engine)).toEqual([]);
  });

  test("what is mounted below comes along, unless told otherwise", async () => {
    await engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=uid=1000,gid=1001", "inner");
    const holder = await engine.ok("run", "-d", "-v", "inner:/i", "busybox", "sh", "-c", "echo x > /i/f; sleep 1000");
    const above = (await engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "inner")).replace(/\/_data$/, "");
    chownSync(above, 1000, 1001);
    const mount = (more: string) => ["--mount", `type=bind,src=${above},dst=/d,idmap${more}`];
    const seen = (more: string) =>
      engine.berth("run", "--rm", ...mount(more), "busybox", "sh", "-c", "stat -c '%u %g' /d/_data; ls /d/_data");
    expect((await seen("")).stdout).toBe("0 0\nf\n");
    expect((await seen(",bind-recursive=disabled")).stdout).toBe("65534 65534\n");
    await engine.ok("rm", "-f", holder);
    await engine.ok("volume", "rm", "inner");
  });
});

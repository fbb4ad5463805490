import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const MiB = 2 ** 20;
const volume = (...argv: string[]) => engine.berth("volume", ...argv);
const sh = (script: string, ...flags: string[]) => engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);
/** How many MiB could be written, and why not more. */
const fill = "dd if=/dev/zero of=/v/big bs=1M count=COUNT 2>&1 | grep -v records; stat -c %s /v/big; sync";
const write = (name: string, count: number) => sh(fill.replace("COUNT", String(count)), "-v", `${name}:/v`);
const homeOf = (name: string) => `${engine.directory}/data/volumes/${name}`;
const mounts = () =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(`${engine.directory}/data/volumes/`));
/** The kernel takes down what a container had mounted a little after its end. */
const nothingLeft = () => until("no mount and no loop device is left", () => mounts().length + loops().length === 0);
/** Files of this engine that have a loop device. */
const loops = () =>
  readdirSync("/sys/block")
    .map((name) => `/sys/block/${name}/loop/backing_file`)
    .filter((path) => existsSync(path) && readFileSync(path, "utf8").startsWith(engine.directory));

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const volumes = (...argv: string[]) => cli(which, engine.host, ["volume", ...argv]);

  test("a size is a limit that holds, for root too", async () => {
    const flags = which === "docker" ? ["--opt", "size=8m"] : ["--size", "8m"];
    expect((await volumes("create", ...flags, "small")).stdout).toBe("small\n");
    const [told] = JSON.parse((await volumes("inspect", "small")).stdout);
    expect(told).toMatchObject({ Options: { size: "8m" }, Status: { Limit: 8 * MiB } });
    const [why, written] = (await write("small", 20)).split("\n");
    expect(why).toContain("No space left on device");
    // Kernels differ in a few blocks of metadata.
    expect([8 * MiB <= Number(written), Number(written) < 8 * MiB + 64 * 1024]).toEqual([true, true]);
    expect(await write("small", 8)).toBe(String(8 * MiB));
    const free = "rm /v/big; ls -A /v; df -k /v | tail -1 | awk '{print $4}'";
    expect(Number(await sh(free, "-v", "small:/v"))).toBeGreaterThanOrEqual(8 << 10);
    expect(Number(await sh(free.replace("rm /v/big;", ""), "--privileged", "-v", "small:/v"))).toBeLessThan(9 << 10);
    expect((await volumes("create", "-o", "size=9m", "small")).stderr).toContain("it exists with size=8m, not 9m");
    expect((await volumes("rm", "small")).stdout).toBe("small\n");
    expect(existsSync(homeOf("small"))).toBe(false);
    await nothingLeft();
  });

  test("sizes that are none are refused", async () => {
    const refused = async (...argv: string[]) => (await volumes("create", ...argv, "wrong")).stderr;
    expect(await refused("-o", "size=lots")).toContain("create wrong: invalid size: 'lots'");
    expect(await refused("-o", "size=1k")).toContain("a volume has at least 4096 bytes");
    expect(await refused("-o", "size=65t")).toContain("a volume has at most 64 TiB");
    const both = ["-o", "size=1m", "-o", "type=tmpfs", "-o", "device=tmpfs"];
    expect(await refused(...both)).toContain("quota size requested but no quota support");
    expect((await volumes("inspect", "wrong")).code).toBe(1);
  });
});

test("an image's files come in, with owners, and too many of them are an error of the create", async () => {
  const lines = ["FROM busybox", "RUN mkdir /v && dd if=/dev/zero of=/v/two bs=1M count=2 && chown -R 7:8 /v"];
  await Bun.write(`${engine.directory}/ctx/Dockerfile`, lines.join("\n"));
  await engine.ok("build", "-q", "-t", "two", `${engine.directory}/ctx`);
  const look = ["two", "sh", "-c", "stat -c '%u %g %s' /v /v/two; ls -A /v"];
  const mount = (size: string) => `type=volume,src=v${size},dst=/v,volume-opt=size=${size}`;
  expect(await engine.ok("run", "--rm", "--mount", mount("4m"), ...look)).toMatch(/^7 8 \d+\n7 8 2097152\ntwo$/);
  const { code, stderr } = await engine.docker("run", "--rm", "--mount", mount("1m"), ...look);
  expect([code, stderr]).toEqual([125, expect.stringMatching(/no space left|ENOSPC/i)]);
  await engine.ok("volume", "rm", "v4m", "v1m");
  await engine.ok("rmi", "two");
});

test("it grows and shrinks while containers use it", async () => {
  await volume("create", "--size", "4m", "grows");
  const id = await engine.ok("run", "-d", "-v", "grows:/v", "busybox", "sleep", "1000");
  const more = async (count: number) => await engine.ok("exec", id, "sh", "-c", fill.replace("COUNT", `${count}`));
  expect(await more(6)).toContain("No space left on device");
  expect((await volume("resize", "grows", "8m")).stdout).toBe("grows\n");
  expect(await more(8)).toBe(String(8 * MiB));
  expect(await more(9)).toContain("No space left on device");
  const tooSmall = await volume("resize", "grows", "2m");
  expect([tooSmall.code, tooSmall.stderr]).toEqual([1, expect.stringMatching(/83\d+ bytes are in use, more than/)]);
  await engine.ok("exec", id, "rm", "/v/big");
  expect((await volume("update", "--size", "2m", "--label-add", "a=b", "grows")).code).toBe(0);
  expect(await more(3)).toContain("No space left on device");
  const [told] = JSON.parse((await volume("inspect", "grows")).stdout);
  expect(told).toMatchObject({ Options: { size: "2m" }, Labels: { a: "b" } });
  await engine.stop("SIGKILL");
  await engine.start();
  expect((await volume("resize", "grows", "3m")).code).toBe(0);
  expect(await more(3)).toBe(String(3 * MiB));
  expect(loops()).toHaveLength(1);
  await engine.ok("rm", "-f", id);
  expect(await write("grows", 4)).toContain("No space left on device");
  await nothingLeft();
  await engine.ok("volume", "rm", "grows");
});

test("what cannot be resized is refused", async () => {
  await volume("create", "plain");
  await volume("create", "--size", "1m", "sized");
  const refused = async (...argv: string[]) => (await volume(...argv)).stderr;
  expect(await refused("resize", "plain", "1m")).toContain("resize plain: volume has no size limit to change");
  expect(await refused("resize", "nope", "1m")).toContain("get nope: no such volume");
  expect(await refused("resize", "sized", "much")).toContain("resize sized: invalid size: 'much'");
  expect(await refused("resize", "sized", "0")).toContain("a limit cannot be taken away");
  expect(await refused("resize", "sized", "60t")).toMatch(/it was made to grow to \d+ bytes at most; clone it/);
  expect(await refused("update", "plain")).toContain("nothing to update");
  expect(await refused("create", "--size", "1m", "-o", "size=2m", "x1")).toContain("conflicting options");
  await engine.ok("volume", "rm", "plain", "sized");
});

test("labels come and go", async () => {
  await volume("create", "--label", "a=1", "--label", "b=2", "named");
  expect((await volume("update", "--label-rm", "a", "--label-add", "c=3=4", "named")).stdout).toBe("named\n");
  expect(JSON.parse((await volume("inspect", "named")).stdout)[0].Labels).toEqual({ b: "2", c: "3=4" });
  expect((await engine.docker("volume", "ls", "-q", "--filter", "label=c")).stdout).toBe("named\n");
  expect((await volume("update", "--label-rm", "a", "nope")).stderr).toContain("get nope: no such volume");
  await engine.ok("volume", "rm", "named");
});

test("export, import, clone, rename, df and prune", async () => {
  await volume("create", "--size", "4m", "first");
  await sh("echo one > /v/f; chown 7:8 /v/f; chmod 700 /v", "-v", "first:/v");
  const look = "cd /v; ls -A; cat f; stat -c '%u %g' f; stat -c %a .";
  const expected = "f\none\n7 8\n700";
  await engine.ok("volume", "create", "-o", "size=2m", "second");
  const file = `${engine.directory}/first.tar`;
  expect((await volume("export", "-o", file, "first")).code).toBe(0);
  expect((await volume("import", "second", file)).code).toBe(0);
  expect(await sh(look, "-v", "second:/v")).toBe(expected);
  expect((await volume("import", "second", file)).stderr).toContain("volume is not empty; use --force");
  await sh("touch /v/extra", "-v", "second:/v");
  expect((await volume("import", "--force", "second", file)).code).toBe(0);
  expect(await sh(look, "-v", "second:/v")).toBe(expected);
  expect(readdirSync(homeOf("second")).sort()).toEqual(["_data", "disk"]);
  expect((await volume("clone", "first", "third")).code).toBe(0);
  expect((await volume("clone", "--size", "6m", "first", "fourth")).code).toBe(0);
  expect((await volume("rename", "third", "fifth")).code).toBe(0);
  expect(await sh(look, "-v", "fifth:/v")).toBe(expected);
  expect(await write("fifth", 5)).toContain("No space left on device");
  expect(await write("fourth", 5)).toBe(String(5 * MiB));
  const { json } = await call(engine, "GET /system/df?type=volume");
  const sizes = Object.fromEntries(
    json.Volumes.map((one: { Name: string; UsageData: { Size: number } }) => [one.Name, one.UsageData.Size]),
  );
  expect(sizes.fourth).toBeGreaterThan(5 * MiB);
  expect(sizes.first).toBeLessThan(12 * MiB);
  await engine.ok("run", "--rm", "-v", "fourth:/v", "busybox", "rm", "/v/big");
  const occupied = () => statSync(`${homeOf("fourth")}/disk`).blocks * 512;
  await until("what was deleted is given back", () => occupied() < sizes.fourth - 4 * MiB);
  const gone = await engine.ok("volume", "prune", "-af");
  for (const name of ["first", "second", "fourth", "fifth"]) expect(gone).toContain(name);
  expect(readdirSync(`${engine.directory}/data/volumes`)).toEqual([]);
  await nothingLeft();
});

test("a kill -9 of the daemon at any time leaves whole volumes, and no mount or loop device", async () => {
  await volume("create", "--size", "4m", "kept");
  await sh("echo kept > /v/f", "-v", "kept:/v");
  for (const delay of [5, 15, 30, 50, 80, 120]) {
    const doing = [
      volume("create", "--size", "4m", `made${delay}`),
      volume("clone", "kept", `cloned${delay}`),
      volume("resize", "kept", `${4 + delay}m`),
      engine.berth("run", "--rm", "-v", "kept:/v", "busybox", "true"),
    ];
    await Bun.sleep(delay);
    await engine.stop("SIGKILL");
    await Promise.all(doing);
    await engine.start();
    await engine.berth("rm", "-f", ...(await engine.ok("ps", "-aq")).split("\n"));
    await nothingLeft();
    const names = (await engine.ok("volume", "ls", "-q")).split("\n");
    for (const name of names) {
      expect(await sh("cat /v/f 2>/dev/null; touch /v/new", "-v", `${name}:/v`)).toBe(
        name.startsWith("made") ? "" : "kept",
      );
      expect(readdirSync(homeOf(name)).sort()).toEqual(["_data", "disk"]);
    }
    expect(names).toContain("kept");
    const others = names.filter((name) => name !== "kept");
    if (others.length > 0) await engine.ok("volume", "rm", ...others);
  }
  await engine.ok("volume", "rm", "kept");
});

test("one that is unmounted late is not mounted twice", async () => {
  await volume("create", "--size", "4m", "late");
  const first = await engine.ok("run", "-d", "-v", "late:/v", "busybox", "sleep", "1000");
  await engine.ok("exec", first, "sh", "-c", "echo one > /v/f");
  // As if its mount had been taken away by hand: the container still has it.
  Bun.spawnSync(["umount", "-l", `${homeOf("late")}/_data`]);
  await engine.stop("SIGKILL");
  await engine.start();
  expect(await sh("cat /v/f; echo two > /v/f", "-v", "late:/v")).toBe("one");
  expect(await engine.ok("exec", first, "cat", "/v/f")).toBe("two");
  expect(loops()).toHaveLength(1);
  await engine.ok("rm", "-f", first);
  await engine.ok("volume", "rm", "late");
  await nothingLeft();
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const memory = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,uid=1000"];
const mountsOf = (volume: string) =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(`${engine.directory}/data/volumes/${volume}/`));

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const volume = (...argv: string[]) => cli(which, engine.host, ["volume", ...argv]);

  test("a volume with options: created, inspected, used, removed", async () => {
    expect((await volume("create", ...memory, "mem")).stdout).toBe("mem\n");
    const [told] = JSON.parse((await volume("inspect", "mem")).stdout);
    expect(told.Options).toEqual({ type: "tmpfs", device: "tmpfs", o: "size=1m,uid=1000" });
    const script = "stat -c %u /m; df -k /m | tail -1 | awk '{print $2}'; echo x > /m/f";
    const first = await cli(which, engine.host, ["run", "-d", "-v", "mem:/m", "busybox", "sleep", "1000"]);
    expect(await engine.ok("run", "--rm", "-v", "mem:/m", "busybox", "sh", "-c", script)).toBe("1000\n1024");
    expect(await engine.ok("exec", first.stdout.trim(), "cat", "/m/f")).toBe("x");
    expect((await volume("rm", "mem")).stderr).toContain("volume is in use");
    await engine.ok("rm", "-f", first.stdout.trim());
    expect(mountsOf("mem")).toEqual([]);
    expect((await volume("rm", "mem")).code).toBe(0);
  });

  test("wrong options are refused in Docker's words", async () => {
    const refused = async (...argv: string[]) => (await volume("create", ...argv, "wrong")).stderr;
    expect(await refused("-o", "foo=bar")).toContain('create wrong: invalid option: "foo"');
    expect(await refused("-o", "type=tmpfs")).toContain('create wrong: missing required option: "device"');
    await volume("create", ...memory, "there");
    expect((await volume("create", "-o", "type=tmpfs", "-o", "device=tmpfs", "there")).stderr).toContain(
      "create there: conflict: volume name must be unique: it exists with o=size=1m,uid=1000",
    );
    expect((await volume("rm", "there")).code).toBe(0);
  });

  test("what cannot be mounted fails the start, in Docker's words", async () => {
    await volume("create", "-o", "type=nope", "-o", "device=/dev/x", "-o", "o=ro,a=b", "bad");
    const { code, stderr } = await cli(which, engine.host, ["run", "--rm", "-v", "bad:/b", "busybox", "true"]);
    const data = `${engine.directory}/data/volumes/bad/_data`;
    const why = `failed to mount local volume: mount /dev/x:${data}, flags: 0x1, data: a=b: no such device`;
    expect(stderr).toContain(`error while mounting volume '${data}': ${why}`);
    expect(code).toBe(125);
    const withContent = await cli(which, engine.host, ["create", "-v", "bad:/etc", "busybox"]);
    expect(withContent.stderr).toContain(why);
    expect((await volume("rm", "bad")).code).toBe(0);
    expect(await engine.ok("ps", "-aq")).toBe("");
  });
});

test("--mount makes a volume with options, labels and driver", async () => {
  const options = "volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-label=a=b,volume-driver=local";
  const mount = `type=volume,src=made,dst=/m,${options}`;
  expect(
    await engine.ok("run", "--rm", "--mount", mount, "busybox", "sh", "-c", "grep ' /m ' /proc/mounts"),
  ).toStartWith("tmpfs /m tmpfs");
  const [told] = JSON.parse(await engine.ok("volume", "inspect", "made"));
  expect(told).toMatchObject({ Labels: { a: "b" }, Options: { type: "tmpfs", device: "tmpfs" } });
  await engine.ok("volume", "rm", "made");
});

test("df and prune leave them alone, as Docker does", async () => {
  await engine.ok("volume", "create", ...memory, "apart");
  await engine.ok("volume", "create", "plain");
  const { json } = await call(engine, "GET /system/df");
  expect(json.Volumes.map((one: { Name: string }) => one.Name)).toEqual(["plain"]);
  expect(await engine.ok("volume", "prune", "-a", "-f")).toContain("plain");
  expect(await engine.ok("volume", "ls", "-q")).toBe("apart");
  await engine.ok("volume", "rm", "apart");
});

test("a kill -9 of the daemon leaves the mounts that containers use, and the next start clears the others", async () => {
  const host = `${engine.directory}/outside`;
  mkdirSync(host);
  writeFileSync(`${host}/kept`, "x");
  await engine.ok("volume", "create", ...memory, "used");
  await engine.ok("volume", "create", ...memory, "left");
  await engine.ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${host}`, "outside");
  const stays = await engine.ok("run", "-d", "-v", "used:/u", "busybox", "sh", "-c", "echo alive > /u/f; sleep 1000");
  const ends = await engine.ok(
    "run",
    "-d",
    "-v",
    "left:/l",
    "-v",
    "outside:/o",
    "busybox",
    "sh",
    "-c",
    "while [ ! -e /end ]; do usleep 5000; done",
  );
  const pid = await engine.ok("inspect", "-f", "{{.State.Pid}}", ends);
  await engine.stop("SIGKILL");
  writeFileSync(`/proc/${pid}/root/end`, "");
  expect(mountsOf("left")).toHaveLength(1);
  await engine.start();
  expect(mountsOf("left")).toEqual([]);
  expect(mountsOf("outside")).toEqual([]);
  expect(mountsOf("used")).toHaveLength(1);
  expect(await engine.ok("run", "--rm", "-v", "used:/v", "busybox", "cat", "/v/f")).toBe("alive");
  await engine.ok("rm", ends);
  await engine.ok("volume", "rm", "left", "outside");
  expect(readFileSync(`${host}/kept`, "utf8")).toBe("x");
  await engine.ok("restart", "-t", "0", stays);
  expect(mountsOf("used")).toHaveLength(1);
  await engine.ok("rm", "-f", stays);
  expect(mountsOf("used")).toEqual([]);
  await engine.ok("volume", "rm", "used");
  expect(existsSync(`${engine.directory}/data/volumes/used`)).toBe(false);
});

test("cp reaches a stopped container's volumes and images, and leaves nothing mounted", async () => {
  const host = `${engine.directory}/copied`;
  mkdirSync(host);
  await engine.ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${host}`, "copied");
  const id = await engine.ok("create", "-v", "copied:/c", "--mount", "type=image,src=busybox,dst=/i", "busybox");
  writeFileSync(`${engine.directory}/file`, "copied\n");
  await engine.ok("cp", `${engine.directory}/file`, `${id}:/c/file`);
  expect(readFileSync(`${host}/file`, "utf8")).toBe("copied\n");
  await engine.ok("cp", `${id}:/i/etc/passwd`, `${engine.directory}/passwd`);
  expect(readFileSync(`${engine.directory}/passwd`, "utf8")).toContain("alice");
  expect((await engine.docker("cp", `${engine.directory}/file`, `${id}:/i/file`)).stderr).toContain("read-only");
  expect(mountsOf("copied")).toEqual([]);
  expect(readdirSync(`${engine.directory}/exec/sources`)).toEqual([]);
  await engine.ok("rm", id);
  await engine.ok("volume", "rm", "copied");
});

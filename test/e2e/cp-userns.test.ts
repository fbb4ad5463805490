import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { type Entry, tar } from "../support/tar.ts";

let engine: Engine;
/** The host's id of a container's root. */
let base = 0;
let bound = "";
beforeAll(async () => {
  engine = await startEngine(["--userns-remap", "default"]);
  await importBusybox(engine);
  base = Number(/^berthremap:(\d+):65536$/m.exec(readFileSync("/etc/subuid", "utf8"))?.[1]);
  bound = join(engine.directory, "bound");
});
afterEach(async () => {
  const ids = await engine.ok("ps", "-aq");
  if (ids !== "") await engine.ok("rm", "-f", "-v", ...ids.split("\n"));
  await engine.docker("volume", "rm", "-f", "kept");
  rmSync(bound, { recursive: true, force: true });
});
afterAll(() => engine[Symbol.asyncDispose]());

const states = ["running", "stopped"] as const;
const owner = (path: string) => [statSync(path).uid, statSync(path).gid];
const exec = (script: string, ...flags: string[]) => engine.ok("exec", ...flags, "box", "sh", "-c", script);

/** With a volume at /v, a directory inside it at /s, a directory of the host at /b, and memory at /m. */
async function box(state: (typeof states)[number], script: string, ...flags: string[]): Promise<void> {
  mkdirSync(bound);
  chownSync(bound, base, base);
  chmodSync(bound, 0o755);
  await engine.ok("run", "--rm", "-v", "kept:/v", "busybox", "mkdir", "/v/sub");
  const inside = "type=volume,source=kept,target=/s,volume-subpath=sub";
  const mounts = ["-v", "kept:/v", "--mount", inside, "-v", `${bound}:/b`, "--tmpfs", "/m"];
  await engine.ok("run", "-d", "--name", "box", ...mounts, ...flags, "busybox", "sleep", "100000");
  await exec(script);
  if (state === "stopped") await engine.ok("stop", "-t", "0", "box");
}

const get = async (path: string) => {
  const answer = await fetch(`http://engine/containers/box/${path}`, { unix: engine.host.replace("unix://", "") });
  expect([path, answer.status]).toEqual([path, 200]);
  return Buffer.from(await answer.arrayBuffer());
};
const put = (path: string, ...entries: readonly Entry[]) =>
  call(engine, `PUT /containers/box/archive?path=${path}`, tar(...entries));

/** Names and owners in an archive. */
function owners(archive: Buffer): string[] {
  const { stdout } = Bun.spawnSync(["tar", "-tv", "--numeric-owner"], { stdin: archive });
  return String(stdout)
    .trim()
    .split("\n")
    .map((line) => `${line.split(/\s+/)[1]} ${line.split(/\s+/)[5]}`);
}

/** By the container, which is started for that where it does not run. */
async function seen(state: (typeof states)[number], ...paths: string[]): Promise<string[]> {
  if (state === "stopped") await engine.ok("start", "box");
  return (await exec(`stat -c '%u/%g %n' ${paths.join(" ")}`)).split("\n");
}

test.each(states)("out of a %s container owners are as inside", async (state) => {
  const make = (directory: string) =>
    `mkdir -p ${directory}/d; touch ${directory}/d/a ${directory}/d/r; chown 1000:10 ${directory}/d/a;`;
  await box(state, ["/o", "/v", "/s", "/b", "/m"].map(make).join(" "));
  writeFileSync(join(bound, "d/host"), "of the host");
  const expected = ["0/0 d/", "1000/10 d/a", "0/0 d/r"];
  for (const directory of ["/o", "/v", "/s", ...(state === "running" ? ["/m"] : [])])
    expect([directory, owners(await get(`archive?path=${directory}/d`))]).toEqual([directory, expected]);
  expect(owners(await get("archive?path=/b/d"))).toEqual(expected.toSpliced(2, 0, "65534/65534 d/host"));
  expect(owners(await get("archive?path=/etc/hostname"))).toEqual(["0/0 hostname"]);
  expect(owners(await get("export")).filter((line) => / (o|bin\/busybox)/.test(line))).toEqual([
    ...["0/0 bin/busybox", "0/0 o/", "0/0 o/d/", "1000/10 o/d/a", "0/0 o/d/r"],
  ]);
});

test.each(states)("into a %s container owners become those inside", async (state) => {
  await box(state, "mkdir /o /alice; chown alice /alice; chmod 700 /alice");
  const entries: readonly Entry[] = [
    { name: "implied/r", data: "r" },
    { name: "a", data: "a", uid: 1000, gid: 10, mode: 0o4755 },
    { name: "d", type: "directory", uid: 1000, gid: 10 },
    { name: "l", type: "symlink", link: "a", uid: 1000, gid: 10 },
    { name: "f", type: "fifo", uid: 1000, gid: 10 },
    { name: "h", type: "hardlink", link: "a" },
  ];
  const directories = ["/o", "/alice", "/v", "/s", "/b", ...(state === "running" ? ["/m"] : [])];
  for (const directory of directories) {
    const { status, text } = await put(directory, ...entries);
    expect([directory, status, text]).toEqual([directory, 200, ""]);
  }
  const names = ["implied", "implied/r", "a", "d", "l", "f", "h"];
  const told = await seen(state, ...directories.flatMap((at) => names.map((name) => `${at}/${name}`)));
  for (const [at, directory] of directories.entries())
    expect(told.slice(at * names.length, (at + 1) * names.length)).toEqual([
      ...[`0/0 ${directory}/implied`, `0/0 ${directory}/implied/r`],
      ...["a", "d", "l", "f", "h"].map((name) => `1000/10 ${directory}/${name}`),
    ]);
  expect((await exec("stat -c %a /o/a /v/a /b/a")).split("\n")).toEqual(["4755", "4755", "4755"]);
  const upper = await engine.ok("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "box");
  const volume = await engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "kept");
  for (const [path, root] of [
    [join(upper, "o"), 0],
    [volume, 0],
    [join(volume, "sub"), 0],
    [bound, base],
  ] as const)
    expect([path, owner(join(path, "implied")), owner(join(path, "a"))]).toEqual([
      ...[path, [root, root], [root + 1000, root + 10]],
    ]);
});

test.each(states)("docker cp -a gives files to the user of a %s container; without, owners stay", async (state) => {
  await engine.ok("run", "-d", "--name", "box", "-u", "alice", "busybox", "sleep", "100000");
  if (state === "stopped") await engine.ok("stop", "-t", "0", "box");
  const local = join(engine.directory, `local-${state}`);
  writeFileSync(local, "text");
  chownSync(local, 7, 8);
  for (const which of ["docker", "berth"] as const) {
    await engine[which]("cp", "-a", local, `box:/tmp/${which}-a`);
    await engine[which]("cp", local, `box:/tmp/${which}`);
  }
  expect(await seen(state, "/tmp/docker-a", "/tmp/berth-a", "/tmp/docker", "/tmp/berth")).toEqual([
    ...["1000/1000 /tmp/docker-a", "1000/1000 /tmp/berth-a", "7/8 /tmp/docker", "7/8 /tmp/berth"],
  ]);
});

/** CAP_CHOWN, effective, as setcap(8) writes it outside of any namespace. */
const chown = Buffer.from("0100000201000000000000000000000000000000", "hex");
/** u::rwx, u:1000:r-x, g::r--, g:10:r-x, m::r-x, o::--x. */
const acl = Buffer.from(
  "0200000001000700ffffffff02000500e803000004000400ffffffff080005000a00000010000500ffffffff20000100ffffffff",
  "hex",
);
const accessList = "SCHILY.xattr.system.posix_acl_access";

test.each(states)("a %s container gets nothing of users whom its namespace does not have", async (state) => {
  await box(state, "mkdir /o; touch /o/big");
  for (const [uid, gid, id] of [
    [70_000, 0, 70_000],
    [0, 65_536, 65_536],
  ] as const) {
    const { status, json } = await put("/o", { name: "first", data: "1" }, { name: "big", data: "x", uid, gid });
    expect([status, json.message]).toEqual([400, `entry "big": container ID ${id} cannot be mapped to a host ID`]);
  }
  expect(owners(await get("archive?path=/o"))).toEqual(["0/0 o/", "0/0 o/big", "0/0 o/first"]);
  const big = Buffer.concat([acl.subarray(0, 16), Buffer.from([0x70, 0x11, 1, 0]), acl.subarray(20)]);
  const { json } = await put("/o", { name: "listed", pax: { [accessList]: big } });
  const what = "extended attribute system.posix_acl_access";
  expect(json.message).toBe(`entry "listed": ${what}: container ID 70000 cannot be mapped to a host ID`);
});

test.each(states)("capabilities and access lists of files keep their meaning in a %s container", async (state) => {
  await box(state, "mkdir /o; cp /bin/busybox /o/first", "--cap-add", "ALL");
  const program = readFileSync(
    join(await engine.ok("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "box"), "o/first"),
  );
  const pax = { "SCHILY.xattr.security.capability": chown, [accessList]: acl };
  for (const directory of ["/o", "/v"]) {
    const { status, text } = await put(directory, { name: "busybox", mode: 0o755, data: program, pax });
    expect([directory, status, text]).toEqual([directory, 200, ""]);
  }
  for (const path of ["archive?path=/o", "export", "archive?path=/v"]) {
    const archive = await get(path);
    for (const [key, value] of Object.entries(pax)) {
      const at = archive.indexOf(`${key}=`) + key.length + 1;
      expect([path, key, archive.subarray(at, at + value.length).toString("hex")]).toEqual([
        ...[path, key, value.toString("hex")],
      ]);
    }
  }
  if (state === "stopped") await engine.ok("start", "box");
  for (const directory of ["/o", "/v"]) {
    await exec(`touch /tmp/x; chown alice /tmp/x; ${directory}/busybox chown 0 /tmp/x`, "-u", "alice");
    expect(await exec("stat -c %u /tmp/x; rm /tmp/x")).toBe("0");
  }
});

test("a failure, and a reader who leaves, leave nothing mounted of a stopped container", async () => {
  await box("stopped", "dd if=/dev/zero of=/v/large bs=1M count=20 2> /dev/null");
  expect((await put("/none", { name: "x" })).status).toBe(404);
  const leaving = new AbortController();
  const answer = await fetch("http://engine/containers/box/archive?path=/v/large", {
    unix: engine.host.replace("unix://", ""),
    signal: leaving.signal,
  });
  await answer.body?.getReader().read();
  leaving.abort();
  // Only when the lock was let go.
  await engine.ok("start", "box");
  await engine.ok("stop", "-t", "0", "box");
  const exec = join(engine.directory, "exec");
  expect(readdirSync(join(exec, "staged"))).toEqual([]);
  expect(readdirSync(join(exec, "rootfs"))).toEqual([]);
  const mounted = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  expect(mounted.filter((line) => line.includes(`${exec}/`) && !/ nsfs /.test(line))).toEqual([]);
});

test("what is made for the mounts of a stopped container belongs to its root", async () => {
  await engine.ok("create", "--name", "box", "-v", `${bound}/made:/new/b`, "-v", "kept:/other/v", "busybox");
  expect((await put("/new/b", { name: "x" })).status).toBe(200);
  expect([owner(join(bound, "made")), owner(join(bound, "made/x"))]).toEqual([
    [base, base],
    [base, base],
  ]);
  const upper = await engine.ok("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "box");
  for (const path of ["new", "new/b", "other", "other/v"])
    expect([path, owner(join(upper, path))]).toEqual([path, [0, 0]]);
});

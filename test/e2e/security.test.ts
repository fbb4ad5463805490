import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const sh = (script: string, ...flags: string[]) => engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);
/** What a command says when it fails: it must fail. */
const refused = (script: string, ...flags: string[]) => sh(`{ ${script}; } 2>&1 && echo ALLOWED; true`, ...flags);
const capabilities = async (...flags: string[]) => (await sh("grep CapEff /proc/self/status", ...flags)).split("\t")[1];

test("the default capabilities are Docker's, and flags change them", async () => {
  expect(await capabilities()).toBe("00000000a80425fb");
  expect(await capabilities("--cap-drop", "ALL")).toBe("0000000000000000");
  expect(await capabilities("--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE")).toBe("0000000000000400");
  expect(await capabilities("--cap-add", "CAP_SYS_PTRACE")).toBe("00000000a80c25fb");
  expect(await capabilities("-u", "1000")).toBe("0000000000000000");
  const bad = await engine.docker("create", "--cap-add", "NOSUCH", "busybox");
  expect(bad.code).toBe(1);
  expect(bad.stderr).toMatch(/invalid CapAdd: unknown capability: "CAP_NOSUCH"/);
});

test("seccomp filters by default, and not where it is told", async () => {
  expect(await sh("grep Seccomp: /proc/self/status")).toBe("Seccomp:\t2");
  expect(await sh("grep Seccomp: /proc/self/status", "--security-opt", "seccomp=unconfined")).toBe("Seccomp:\t0");
  expect(await refused("unshare -U true")).toMatch(/Operation not permitted/);
  expect(await refused("mount -t tmpfs x /mnt || mount -t tmpfs x /tmp")).toMatch(
    /permission denied|Operation not permitted/,
  );
  expect(
    await refused("mount -t tmpfs x /tmp", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined"),
  ).toBe("ALLOWED");
});

test("paths of /proc are masked or read-only, and /sys is read-only", async () => {
  for (const path of ["/proc/kcore", "/proc/keys", "/proc/timer_list"]) {
    expect([path, await sh(`test -e ${path} && head -c 1 ${path} | wc -c || echo 0`)]).toEqual([path, "0"]);
  }
  expect(await sh("ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v : | grep -c .; true")).toBe("0");
  expect(await refused("echo x > /proc/sys/kernel/domainname")).toContain("Read-only file system");
  expect(await refused("echo b > /proc/sysrq-trigger")).toMatch(
    /Read-only file system|Permission denied|nonexistent directory/,
  );
  const cgroup = existsSync("/sys/fs/cgroup/memory") ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup";
  expect(await refused(`mkdir ${cgroup}/new`)).toMatch(
    /Read-only file system|Operation not permitted|Permission denied/,
  );
  expect(await refused("echo 1 > /sys/kernel/mm/ksm/run")).toMatch(/Read-only file system|nonexistent directory/);
});

test("there are only Docker's devices, and no new ones can be used", async () => {
  const names = (await sh("ls /dev")).split("\n").filter((name) => name !== "console");
  const expected = [
    "core",
    "fd",
    "full",
    "mqueue",
    "null",
    "ptmx",
    "pts",
    "random",
    "shm",
    "stderr",
    "stdin",
    "stdout",
    "tty",
    "urandom",
    "zero",
  ];
  expect(names).toEqual(expected);
  expect(await refused("mknod /tmp/disk b 254 0 && cat /tmp/disk")).toMatch(/Operation not permitted/);
  expect(await refused("mknod /tmp/kmsg c 1 11 && head -c1 /tmp/kmsg")).toMatch(/Operation not permitted/);
});

test("--device gives one device", async () => {
  expect(await sh("test -c /dev/mine && head -c1 /dev/mine | wc -c", "--device", "/dev/zero:/dev/mine:r")).toBe("1");
  expect(await refused("echo x > /dev/mine", "--device", "/dev/kmsg:/dev/mine:r")).toMatch(/Operation not permitted/);
});

test("namespaces are the container's own", async () => {
  expect(await sh("ls /proc | grep -c '^[0-9]'")).toMatch(/^[1-4]$/);
  expect(await sh("echo $$")).toBe("1");
  for (const kind of ["pid", "net", "mnt", "uts", "ipc"]) {
    const host = (await Bun.$`readlink /proc/self/ns/${kind}`.text()).trim();
    expect(await sh(`readlink /proc/self/ns/${kind}`)).not.toBe(host);
  }
  expect(await sh("readlink /proc/self/ns/pid", "--pid", "host")).toBe(
    (await Bun.$`readlink /proc/self/ns/pid`.text()).trim(),
  );
  expect(await sh("readlink /proc/self/ns/ipc", "--ipc", "host")).toBe(
    (await Bun.$`readlink /proc/self/ns/ipc`.text()).trim(),
  );
  expect(await sh("readlink /proc/self/ns/uts", "--uts", "host")).toBe(
    (await Bun.$`readlink /proc/self/ns/uts`.text()).trim(),
  );
});

test("--privileged lifts all of it", async () => {
  expect(await sh("mount -t tmpfs x /tmp && echo mounted", "--privileged")).toBe("mounted");
  expect(await sh("grep Seccomp: /proc/self/status", "--privileged")).toBe("Seccomp:\t0");
  expect(
    await sh("head -c1 /proc/kcore | wc -c; test -w /proc/sys/kernel/domainname && echo writable", "--privileged"),
  ).toContain("writable");
  const own = /CapEff:\t(\w+)/.exec(await Bun.file("/proc/self/status").text())?.[1];
  expect(await capabilities("--privileged")).toBe(own);
});

test("--read-only makes the root read-only, and not what is mounted", async () => {
  expect(await refused("touch /x", "--read-only")).toContain("Read-only file system");
  expect(
    await sh("touch /run-me /data/x /t/x 2>/dev/null; ls /data /t", "--read-only", "-v", "/data", "--tmpfs", "/t"),
  ).toBe("/data:\nx\n\n/t:\nx");
});

test("no-new-privileges", async () => {
  expect(await sh("grep NoNewPrivs /proc/self/status")).toBe("NoNewPrivs:\t0");
  expect(await sh("grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges")).toBe("NoNewPrivs:\t1");
});

test("a security option that is not known is refused by name", async () => {
  const { code, stderr } = await engine.docker("create", "--security-opt", "nonsense=1", "busybox");
  expect(code).toBe(1);
  expect(stderr).toContain("nonsense");
});

test("containers cannot reach the host's own loopback, nor signal its processes", async () => {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("secret") });
  expect(await refused(`nc 127.0.0.1 ${server.port} < /dev/null`)).toMatch(/refused/);
  await server.stop(true);
  expect(await refused(`kill -0 ${process.pid}`)).toMatch(/No such process/);
});

test("the descriptors of the daemon stay in the daemon", async () => {
  expect(await sh("ls /proc/self/fd | wc -l")).toMatch(/^[45]$/);
  const id = await engine.ok("run", "-d", "busybox", "sleep", "100000");
  await until(
    "exec sees no more",
    async () => (await engine.ok("exec", id, "sh", "-c", "ls /proc/self/fd | wc -l")) === "4",
  );
  await engine.ok("rm", "-f", id);
});

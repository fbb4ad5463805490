import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { type CgroupFile, cgroupFile, unified } from "../support/cgroup.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const inspect = async (name: string) => (await call(engine, `GET /containers/${name}/json`)).json;
const sleeper = (name: string, ...flags: string[]) =>
  engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sleep", "100000");
const file = async (name: string, at: CgroupFile) => cgroupFile((await inspect(name)).State.Pid, at);
const same = (name: string): CgroupFile => ({ v1: name, v2: name });

const memory: CgroupFile = { v1: "memory.limit_in_bytes", v2: "memory.max" };
const swap: CgroupFile = { v1: "memory.memsw.limit_in_bytes", v2: "memory.swap.max" };
const reservation: CgroupFile = { v1: "memory.soft_limit_in_bytes", v2: "memory.low" };
const shares: CgroupFile = { v1: "cpu.shares", v2: "cpu.weight" };
const quota: CgroupFile = { v1: "cpu.cfs_quota_us", v2: "cpu.max" };
const pids = same("pids.max");

/** All of them, to see that none has changed. */
async function everyLimit(name: string): Promise<string[]> {
  const files = [memory, swap, reservation, shares, quota, pids, same("cpuset.cpus")];
  return Promise.all(files.map((one) => file(name, one)));
}

for (const runtime of ["crun", "runc"] as const) {
  describe.skipIf(Bun.which(runtime) === null)(`with ${runtime}`, () => {
    const name = `box-${runtime}`;

    test("what is asked for is in the cgroup, and the container says which runtime it has", async () => {
      await sleeper(
        name,
        ...["--runtime", runtime, "-m", "64m", "--memory-swap", "96m", "--memory-reservation", "32m"],
        ...["-c", "512", "--cpu-period", "50000", "--cpu-quota", "20000", "--cpuset-cpus", "0", "--pids-limit", "50"],
        ...["--oom-score-adj", "300", "--ulimit", "core=5:7", "--shm-size", "3m"],
      );
      expect(await file(name, memory)).toBe(`${64 << 20}`);
      expect(await file(name, swap)).toBe(unified ? `${32 << 20}` : `${96 << 20}`);
      expect(await file(name, reservation)).toBe(`${32 << 20}`);
      if (!unified) expect(await file(name, shares)).toBe("512");
      expect(await file(name, quota)).toBe(unified ? "20000 50000" : "20000");
      expect(await file(name, same("cpuset.cpus"))).toBe("0");
      expect(await file(name, pids)).toBe("50");
      const { HostConfig, State } = await inspect(name);
      expect(HostConfig.Runtime).toBe(runtime);
      expect(readFileSync(`/proc/${State.Pid}/oom_score_adj`, "utf8").trim()).toBe("300");
      expect(readFileSync(`/proc/${State.Pid}/limits`, "utf8")).toMatch(/Max core file size +5 +7 /);
      expect(await engine.ok("exec", name, "sh", "-c", "df -k /dev/shm | tail -1")).toContain(" 3072 ");
    });

    test("update: at once, in the cgroup and in inspect", async () => {
      const flags = ["-m", "80m", "--memory-swap", "120m", "--cpu-quota", "30000", "-c", "700", "--pids-limit", "60"];
      await engine.ok("update", ...flags, "--cpuset-cpus", "0", "--memory-reservation", "40m", name);
      expect(await file(name, memory)).toBe(`${80 << 20}`);
      expect(await file(name, quota)).toBe(unified ? "30000 50000" : "30000");
      expect(await file(name, pids)).toBe("60");
      expect((await inspect(name)).HostConfig).toMatchObject({
        ...{
          Memory: 80 << 20,
          MemorySwap: 120 << 20,
          MemoryReservation: 40 << 20,
          CpuQuota: 30_000,
          CpuPeriod: 50_000,
        },
        ...{ CpuShares: 700, PidsLimit: 60 },
      });
      await engine.ok("update", "-m", "300m", "--memory-swap", "-1", name);
      expect([await file(name, memory), (await inspect(name)).HostConfig.MemorySwap]).toEqual([`${300 << 20}`, -1]);
    });

    test("-1 lifts a limit", async () => {
      await engine.ok("update", "--pids-limit", "-1", "--cpu-quota", "-1", name);
      expect(await file(name, pids)).toBe("max");
      expect(await file(name, quota)).toBe(unified ? "max 50000" : "-1");
      expect((await inspect(name)).HostConfig).toMatchObject({ PidsLimit: 0, CpuQuota: -1 });
    });

    test("an update that the kernel refuses changes nothing", async () => {
      const before = [await everyLimit(name), (await inspect(name)).HostConfig];
      const { code, stderr } = await engine.docker(
        ...["update", "-m", "40m", "--memory-swap", "50m", "-c", "300", "--pids-limit", "9999999999", name],
      );
      expect(code).toBe(1);
      expect(stderr).toMatch(/Cannot update container [0-9a-f]{64}: .*pids.max/);
      expect([await everyLimit(name), (await inspect(name)).HostConfig]).toEqual(before);
    });

    test("a kill -9 of the daemon loses neither the container nor its runtime", async () => {
      await engine.stop("SIGKILL");
      await engine.start();
      expect((await inspect(name)).State.Running).toBe(true);
      expect(await engine.ok("exec", name, "echo", "there")).toBe("there");
      await engine.ok("pause", name);
      await engine.ok("unpause", name);
      await engine.ok("update", "--pids-limit", "70", name);
      expect(await file(name, pids)).toBe("70");
      await engine.ok("restart", "-t", "0", name);
      expect(await file(name, pids)).toBe("70");
      await engine.ok("rm", "-f", name);
    });
  });
}

test("a runtime that is not there is refused by name, and info lists those that are", async () => {
  const { stderr } = await engine.docker("create", "--runtime", "kata", "busybox");
  expect(stderr).toContain("unknown or invalid runtime name: kata");
  const { json } = await call(engine, "GET /info");
  const here = ["crun", "runc"].filter((name) => Bun.which(name) !== null);
  expect(Object.keys(json.Runtimes).sort()).toEqual(here);
  expect(here).toContain(json.DefaultRuntime);
  expect(await engine.ok("ps", "-aq")).toBe("");
});

describe("update is refused", () => {
  beforeAll(() => sleeper("plain"));
  afterAll(() => engine.ok("rm", "-f", "plain"));
  const refused = async (...flags: string[]) => {
    const { code, stderr } = await engine.docker("update", ...flags, "plain");
    expect(code).toBe(1);
    return stderr;
  };

  test("where it is against what the container has", async () => {
    expect(await refused("-m", "64m")).toContain(
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
    await engine.ok("update", "--cpus", "0.5", "plain");
    expect(await refused("--cpu-quota", "20000")).toContain(
      "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
    );
    expect(await refused("--cpus", "0.5", "--cpu-period", "20000")).toContain(
      "Conflicting options: Nano CPUs and CPU Period cannot both be set",
    );
    await engine.ok("update", "-m", "64m", "--memory-swap", "80m", "plain");
    expect(await refused("--memory-swap", "32m")).toContain(
      "Minimum memoryswap limit should be larger than memory limit",
    );
  });

  test("where it makes no sense", async () => {
    expect(await refused("-m", "4k")).toContain("Minimum memory limit allowed is 6MB");
    expect(await refused("--cpuset-cpus", "999")).toContain("Requested CPUs are not available - requested 999");
    expect(await refused("--cpuset-mems", "x")).toContain("Invalid value x for cpuset mems: invalid format: x");
    expect(await refused("--restart", "sometimes")).toContain("invalid restart policy");
    expect(await refused("--cpu-quota", "10")).toContain("CPU cfs quota can not be less than 1ms");
  });

  test("for what only a new container can have", async () => {
    const answer = await call(engine, "POST /containers/plain/update", {
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/x", CgroupPermissions: "r" }],
    });
    expect([answer.status, answer.json.message]).toEqual([400, expect.stringContaining("Devices cannot be changed")]);
    expect((await call(engine, "POST /containers/plain/update", { Devices: [], Ulimits: null })).status).toBe(200);
  });

  test("and one of several that fails does not keep the others", async () => {
    const { code, stdout, stderr } = await engine.docker("update", "--pids-limit", "33", "nobody", "plain");
    expect([code, stdout.trim()]).toEqual([1, "plain"]);
    expect(stderr).toContain("No such container: nobody");
    expect(await file("plain", pids)).toBe("33");
    const own = await engine.berth("update", "--pids-limit", "34", "plain", "nobody");
    expect([own.code, own.stdout.trim()]).toEqual([1, "plain"]);
    expect(await file("plain", pids)).toBe("34");
  });

  test("a policy against --rm", async () => {
    await sleeper("fleeting", "--rm");
    const { stderr } = await engine.docker("update", "--restart", "always", "fleeting");
    expect(stderr).toContain("Restart policy cannot be updated because AutoRemove is enabled for the container");
    await engine.ok("rm", "-f", "fleeting");
  });
});

test("update of a stopped container holds from its next start", async () => {
  await engine.ok("create", "--name", "later", "busybox", "sleep", "100000");
  await engine.ok(
    "update",
    "--pids-limit",
    "21",
    "-m",
    "40m",
    "--memory-swap",
    "40m",
    "--restart",
    "on-failure:2",
    "later",
  );
  await engine.ok("start", "later");
  expect([await file("later", pids), await file("later", memory)]).toEqual(["21", `${40 << 20}`]);
  expect((await inspect("later")).HostConfig.RestartPolicy).toEqual({ Name: "on-failure", MaximumRetryCount: 2 });
  await engine.ok("rm", "-f", "later");
});

test("what the kernel lacks is discarded with Docker's warning; info tells what it has", async () => {
  const { json } = await call(engine, "GET /info");
  const v1 = (path: string) => existsSync(`/sys/fs/cgroup/${path}`);
  if (!unified) {
    expect(json).toMatchObject({
      MemoryLimit: v1("memory/memory.limit_in_bytes"),
      SwapLimit: v1("memory/memory.memsw.limit_in_bytes"),
      CpuCfsQuota: v1("cpu/cpu.cfs_quota_us"),
      CPUShares: v1("cpu/cpu.shares"),
      CPUSet: v1("cpuset/cpuset.cpus"),
      PidsLimit: v1("pids/tasks"),
      OomKillDisable: v1("memory/memory.oom_control"),
    });
  }
  const weight = unified || v1("blkio/blkio.weight");
  const created = await call(engine, "POST /containers/create", { Image: "busybox", HostConfig: { BlkioWeight: 300 } });
  const discarded = "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.";
  expect(created.json.Warnings).toEqual(weight ? [] : [discarded]);
  expect((await inspect(created.json.Id)).HostConfig.BlkioWeight).toBe(weight ? 300 : 0);
  await engine.ok("rm", created.json.Id);
});

test("rates of a block device", async () => {
  const disk = readdirSync("/sys/block").find((name) => existsSync(`/dev/${name}`) && /^(vd|sd|nvme|xvd)/.test(name));
  if (disk === undefined) return;
  await sleeper("slow", "--device-read-bps", `/dev/${disk}:1mb`, "--device-write-iops", `/dev/${disk}:50`);
  const { State } = await inspect("slow");
  const number = readFileSync(`/sys/block/${disk}/dev`, "utf8").trim();
  if (unified) {
    expect(await cgroupFile(State.Pid, same("io.max"))).toMatch(new RegExp(`${number} rbps=1048576 .*wiops=50`));
  } else {
    expect(await cgroupFile(State.Pid, same("blkio.throttle.read_bps_device"))).toBe(`${number} 1048576`);
    expect(await cgroupFile(State.Pid, same("blkio.throttle.write_iops_device"))).toBe(`${number} 50`);
  }
  await engine.ok("rm", "-f", "slow");
  const { stderr } = await engine.docker("run", "--rm", "--device-read-bps", "/dev/nothing:1", "busybox", "true");
  expect(stderr).toContain("stat /dev/nothing: no such file or directory");
});

test("a cgroup parent of the user's own, and a namespace that hides it", async () => {
  const parent = `/${await engine.tag()}-parent`;
  const own = await engine.ok(
    "run",
    "--rm",
    "--cgroup-parent",
    parent,
    "--cgroupns",
    "host",
    "busybox",
    "cat",
    "/proc/self/cgroup",
  );
  expect(own).toMatch(new RegExp(`:${parent}/[0-9a-f]{64}`));
  const hidden = await engine.ok(
    "run",
    "--rm",
    "--cgroup-parent",
    `../..${parent}`,
    "--cgroupns",
    "private",
    "busybox",
    "cat",
    "/proc/self/cgroup",
  );
  expect(hidden.split("\n").every((line) => line.endsWith(":/"))).toBe(true);
  const { stderr } = await engine.docker("create", "--cgroup-parent", "system.slice", "busybox");
  expect(stderr).toContain("cgroup-parent system.slice is a systemd slice, and Berth's cgroup driver is cgroupfs");
  for (const top of unified ? [""] : readdirSync("/sys/fs/cgroup")) {
    await Bun.$`rmdir /sys/fs/cgroup/${top}${parent}`.nothrow().quiet();
  }
});

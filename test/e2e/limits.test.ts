import { afterAll, beforeAll, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { cgroupFile } from "../support/cgroup.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

/** A program that wants 200 MB: `tail` keeps a line until it ends. */
const greedy = "head -c 200000000 /dev/zero | tail -c 200000000 > /dev/null";

test("a container that takes more memory than its limit is killed, and says so", async () => {
  const since = Math.floor(Date.now() / 1000);
  const run = await engine.docker(
    "run",
    "--name",
    "greedy",
    "--memory",
    "32m",
    "--memory-swap",
    "32m",
    "busybox",
    "sh",
    "-c",
    `exec ${greedy.replace(/.*\| /, "")} < /dev/zero`,
  );
  expect(run.code).toBe(137);
  expect(await engine.ok("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "greedy")).toBe("true 137");
  const until = Math.ceil(Date.now() / 1000);
  const events = await engine.ok(
    "events",
    "--since",
    `${since}`,
    "--until",
    `${until}`,
    "--filter",
    "event=oom",
    "--format",
    "{{.Action}}",
  );
  expect(events).toBe("oom");
});

test("a limit shows in the cgroup and in inspect", async () => {
  const flags = [
    "--memory",
    "64m",
    "--memory-reservation",
    "32m",
    "--cpus",
    "0.5",
    "--cpu-shares",
    "512",
    "--pids-limit",
    "20",
  ];
  await engine.ok("run", "-d", "--name", "limited", ...flags, "busybox", "sleep", "100000");
  const { HostConfig } = (await call(engine, "GET /containers/limited/json")).json;
  expect(HostConfig).toMatchObject({
    Memory: 64 << 20,
    MemoryReservation: 32 << 20,
    NanoCpus: 500_000_000,
    CpuShares: 512,
    PidsLimit: 20,
  });
  expect(await limit("memory.limit_in_bytes", "memory.max")).toBe(`${64 << 20}`);
  expect(await limit("pids.max", "pids.max")).toBe("20");
});

test("no more processes than allowed", async () => {
  const script = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done 2>/dev/null; echo all";
  const { stdout, code } = await engine.docker("run", "--rm", "--pids-limit", "10", "busybox", "sh", "-c", script);
  expect(stdout).not.toContain("all");
  expect(code).not.toBe(0);
});

test("no more processor time than allowed", async () => {
  await engine.ok("run", "-d", "--name", "busy", "--cpus", "0.2", "busybox", "sh", "-c", "while :; do :; done");
  const throttled = async () => /nr_throttled ([1-9]\d*)/.test(await stat("busy"));
  for (let tries = 0; tries < 600 && !(await throttled()); tries++) await Bun.sleep(50);
  expect(await throttled()).toBe(true);
  await engine.ok("rm", "-f", "busy");
});

test("update changes the limits of a running container", async () => {
  await engine.ok("update", "--memory", "48m", "--memory-swap", "48m", "--pids-limit", "30", "limited");
  expect(await limit("memory.limit_in_bytes", "memory.max")).toBe(`${48 << 20}`);
  expect(await limit("pids.max", "pids.max")).toBe("30");
  expect(await engine.ok("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}", "limited")).toBe(
    `${48 << 20} 30`,
  );
});

test("limits that make no sense are refused by name", async () => {
  const refused = async (...flags: string[]) => {
    const { code, stderr } = await engine.docker("create", ...flags, "busybox");
    expect(code).toBe(1);
    return stderr;
  };
  expect(await refused("--memory", "1k")).toContain("Minimum memory limit allowed is 6MB");
  expect(await refused("--memory", "64m", "--memory-swap", "32m")).toContain(
    "Minimum memoryswap limit should be larger than memory limit",
  );
  expect(await refused("--cpus", "10000")).toMatch(/Range of CPUs is from 0.01 to/);
  expect(await refused("--cpuset-cpus", "999")).toMatch(/Requested CPUs are not available/);
  expect(await refused("--memory-swap", "32m")).toMatch(
    /You should always set the Memory limit when using Memoryswap limit/,
  );
  expect(await engine.ok("ps", "-aq", "--filter", "status=created")).toBe("");
});

async function limit(v1: string, v2: string): Promise<string> {
  const { State } = (await call(engine, "GET /containers/limited/json")).json;
  return cgroupFile(State.Pid, { v1, v2 });
}

async function stat(name: string): Promise<string> {
  const { State } = (await call(engine, `GET /containers/${name}/json`)).json;
  return cgroupFile(State.Pid, { v1: "cpu.stat", v2: "cpu.stat" });
}

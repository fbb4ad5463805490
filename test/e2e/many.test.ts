import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { kernelObjects } from "../support/leaks.ts";
import { openFiles } from "../support/memory.ts";
import { until } from "../support/until.ts";

const [total, atOnce] = [200, 20];

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

/** A container's whole life: started, followed, looked into, removed. */
async function life(name: string): Promise<void> {
  await engine.ok("run", "-d", "--name", name, "busybox", "sh", "-c", `echo hello from ${name}; exec sleep 100000`);
  const logs = Bun.spawn(["docker", "logs", "-f", name], { env: cliEnv(engine.host), stdout: "pipe", stderr: "pipe" });
  const inside = await cli("docker", engine.host, ["exec", name, "sh", "-c", "hostname; exit 7"]);
  expect(inside).toMatchObject({ code: 7, stderr: "", stdout: expect.stringMatching(/^[0-9a-f]{12}\n$/) });
  await engine.ok("rm", "-f", name);
  expect(await new Response(logs.stdout).text()).toBe(`hello from ${name}\n`);
  expect(await logs.exited).toBe(0);
}

async function round(label: string, count: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < count; at = next++) await life(`${label}-${at}`);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

interface Held {
  readonly heapKiB: number;
  readonly openFiles: number;
}

/** What the daemon says that it holds when its garbage is collected. */
async function held(): Promise<Held> {
  const reports = async () => [
    ...(await engine.log()).matchAll(/Garbage was collected" heapKiB=(\d+) .*openFiles=(\d+)/g),
  ];
  const before = (await reports()).length;
  process.kill(engine.pid, "SIGUSR1");
  await until("the daemon reports", async () => (await reports()).length > before);
  const last = (await reports()).at(-1);
  return { heapKiB: Number(last?.[1]), openFiles: Number(last?.[2]) };
}

/** Processes, mounts and files that belong to this daemon's containers. */
async function leftovers(): Promise<object> {
  const { links, cgroups, nft } = await kernelObjects(await engine.tag());
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(`${engine.directory}/`))
    .map((line) => line.split(" ")[4]?.replace(/\+\d+$/, "+spare")); // a network is kept ready; the next has another name
  const inExec = ["bundles", "execs", "exits", "rootfs", "shm", "state", "tasks"].flatMap((name) =>
    filesIn(`exec/${name}`),
  );
  return {
    ...{ links: links.length, cgroups, mounts, inExec, containers: filesIn("data/containers") },
    published: nft.includes("dnat to 1"),
    processes: processesOf(engine.directory),
  };
}

function filesIn(name: string): string[] {
  try {
    return readdirSync(`${engine.directory}/${name}`);
  } catch {
    return [];
  }
}

/** conmon, crun and whatever else was started for this daemon, but for the daemon itself. */
function processesOf(directory: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === engine.pid) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(directory);
    } catch {
      return false;
    }
  });
}

test(`${total} containers, ${atOnce} at a time, each with an exec and a reader of its log, leave nothing behind`, async () => {
  await round("warm", atOnce * 2);
  const kept = await leftovers();
  const before = await held();
  await round("many", total);
  expect((await call(engine, "GET /containers/json?all=1")).json).toEqual([]);
  let left = await leftovers();
  await until(
    () => `what is left is ${JSON.stringify(left)} and not ${JSON.stringify(kept)}`,
    async () => {
      left = await leftovers();
      return Bun.deepEquals(left, kept);
    },
  );
  await until(
    () => `${openFiles(engine.pid)} open files after ${before.openFiles} before`,
    () => openFiles(engine.pid) <= before.openFiles + 5,
  );
  const after = await held();
  expect(after.heapKiB).toBeLessThan(before.heapKiB * 1.2);
  expect((await engine.log()).split("\n").filter((line) => line.includes("level=error"))).toEqual([]);
}, 300_000);

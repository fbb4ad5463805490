import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const opts = (options: Record<string, string>) =>
  Object.entries(options).flatMap(([key, value]) => ["--log-opt", `${key}=${value}`]);
const lines = (count: number, first = 1) => Array.from({ length: count }, (_, at) => `line ${first + at}\n`).join("");
/** Writes in bursts, so that rotations fall between and into them. */
const bursts = (count: number, each: number) =>
  `n=0; while [ $n -lt ${count} ]; do for i in $(seq ${each}); do echo line $((n * ${each} + i)); done; n=$((n + 1)); usleep 20000; done`;

async function segments(id: string): Promise<string[]> {
  const path = await engine.ok("inspect", "-f", "{{.LogPath}}", id);
  return readdirSync(dirname(path)).filter((name) => name.startsWith("container.log"));
}

describe.each(["docker", "berth"] as const)("%s logs", (which) => {
  test("-f over many rotations, and all of it afterwards", async () => {
    const name = `rotating-${which}`;
    const kept = opts({ "max-size": "20k", "max-file": "50" });
    await engine.ok("run", "-d", "--name", name, ...kept, "busybox", "sh", "-c", bursts(150, 20));
    const { stdout, code } = await cli(which, engine.host, ["logs", "-f", name]);
    expect(code).toBe(0);
    expect(stdout === lines(3000)).toBe(true);
    const logs = async (...argv: string[]) => (await cli(which, engine.host, ["logs", ...argv, name])).stdout;
    expect((await logs()) === lines(3000)).toBe(true);
    expect((await segments(name)).length).toBeGreaterThan(3);
    expect((await logs("--tail", "2500")) === lines(2500, 501)).toBe(true);
    const stamped = (await logs("-t")).split("\n");
    const since = stamped[1234]?.split(" ")[0] ?? "";
    const expected = stamped.filter((line) => line >= since).join("\n");
    expect((await logs("-t", "--since", since)) === `${expected}\n`).toBe(true);
    const before = stamped.filter((line) => line !== "" && line.slice(0, 30) <= since).join("\n");
    expect((await logs("-t", "--until", since)) === `${before}\n`).toBe(true);
    await until("all but the newest are packed", async () => {
      const found = await segments(name);
      const plain = found.filter((one) => /\.\d+$/.test(one)).length;
      // Where the end came in the middle of a rotation there is no current segment, and the newest is a plain one.
      return plain === (found.includes("container.log") ? 0 : 1);
    });
    expect((await logs()) === lines(3000)).toBe(true);
  });
});

test("what is too old goes, and what stays is whole lines without a gap", async () => {
  const kept = opts({ "max-size": "10k", "max-file": "3" });
  const id = await engine.ok("run", "-d", ...kept, "busybox", "sh", "-c", bursts(60, 20));
  await engine.ok("wait", id);
  const { stdout } = await engine.docker("logs", id);
  const first = Number(/^line (\d+)\n/.exec(stdout)?.[1]);
  expect(first).toBeGreaterThan(1);
  expect(stdout === lines(1200 - first + 1, first)).toBe(true);
  expect((await segments(id)).length).toBeLessThanOrEqual(3);
});

test("the daemon killed again and again in the middle of rotations: nothing is lost or doubled", async () => {
  const kept = opts({ "max-size": "10k", "max-file": "100" });
  const id = await engine.ok("run", "-d", ...kept, "busybox", "sh", "-c", bursts(500, 30));
  for (let kill = 0; kill < 4; kill++) {
    const before = (await segments(id)).length;
    await until("it has rotated again", async () => (await segments(id)).length > before);
    await engine.stop("SIGKILL");
    await engine.start();
  }
  await engine.ok("wait", id);
  const { stdout } = await engine.docker("logs", id);
  expect(stdout === lines(15_000)).toBe(true);
}, 120_000);

test("what was written while no daemon ran is rotated by the next one", async () => {
  const kept = opts({ "max-size": "50k", "max-file": "60" });
  const script = "read x; seq 20000; read y; echo end";
  const id = await engine.ok(
    "run",
    "-di",
    ...kept,
    "busybox",
    "sh",
    "-c",
    `sleep 0.5; ${script.replace("read x; ", "")}`,
  );
  const path = await engine.ok("inspect", "-f", "{{.LogPath}}", id);
  await engine.stop();
  await until("it has grown", () => statSync(path).size > 1_000_000);
  await engine.start();
  await until("it is rotated and packed", async () => (await segments(id)).some((name) => name.endsWith(".zst")));
  const numbers = Array.from({ length: 20_000 }, (_, at) => `${at + 1}`).join("\n");
  expect((await engine.ok("logs", id)) === numbers).toBe(true);
  expect(await engine.ok("logs", "--tail", "1", id)).toBe("20000");
  await engine.ok("rm", "-f", id);
});

test("a reader that stops for 5 s gets a hundred megabytes as they were written; the daemon's memory stays flat", async () => {
  const line = "x".repeat(99);
  const script = `read x; yes ${line} | head -n 1000000; read y`;
  const id = await engine.ok(
    "run",
    "-di",
    ...opts({ "max-size": "5m", "max-file": "2" }),
    "busybox",
    "sh",
    "-c",
    script,
  );
  const child = Bun.spawn(["docker", "logs", "-f", id], { env: cliEnv(engine.host), stdout: "pipe", timeout: 110_000 });
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/status`, "utf8"))?.[1]) / 1024;
  const before = rss();
  let most = before;
  await cli("docker", engine.host, ["attach", "--no-stdin=false", id], { stdin: "go\n" });
  let [bytes, wrong, paused] = [0, 0, false];
  for await (const chunk of child.stdout) {
    for (let at = 0; at < chunk.length; at++, bytes++) if (chunk[at] !== (bytes % 100 === 99 ? 10 : 120)) wrong++;
    most = Math.max(most, rss());
    if (!paused && bytes > 1_000_000) {
      paused = true;
      child.kill("SIGSTOP");
      await Bun.sleep(5000);
      child.kill("SIGCONT");
    }
    if (bytes === 100_000_000) await engine.docker("kill", id);
  }
  expect([bytes, wrong]).toEqual([100_000_000, 0]);
  expect(await child.exited).toBe(0);
  expect(most - before).toBeLessThan(100);
}, 120_000);

test("fifty followers of one container, all with everything, and then no watch is left", async () => {
  const script = "i=0; while [ $i -lt 200 ]; do i=$((i + 1)); echo line $i; usleep 5000; done";
  const id = await engine.ok("run", "-d", "busybox", "sh", "-c", `sleep 1; ${script}`);
  const all = Array.from({ length: 50 }, () =>
    fetch(`http://berth/containers/${id}/logs?follow=1&stdout=1`, { unix: engine.host.slice("unix://".length) }),
  );
  const bodies = await Promise.all(all.map(async (answer) => Buffer.from(await (await answer).arrayBuffer())));
  for (const body of bodies) {
    expect(body.equals(bodies[0] ?? Buffer.alloc(0))).toBe(true);
    expect(body.length).toBe(lines(200).length + 200 * 8);
  }
});

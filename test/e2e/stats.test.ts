import { afterAll, beforeAll, expect, test } from "bun:test";
import { totalmem } from "node:os";
import { call, dial } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { onTerminal } from "../support/terminal.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  await engine.ok(
    "run",
    "-d",
    "--name",
    "busy",
    "-m",
    "64m",
    "--pids-limit",
    "50",
    "busybox",
    "sh",
    "-c",
    "while :; do :; done",
  );
  await engine.ok("run", "-d", "--name", "idle", "busybox", "sleep", "1000");
});
afterAll(() => engine[Symbol.asyncDispose]());

const never = "0001-01-01T00:00:00Z";

test("everything that the API has, of a container that runs", async () => {
  const { status, json, headers } = await call(engine, "GET /v1.51/containers/busy/stats?stream=false");
  expect([status, headers.get("content-type")]).toEqual([200, "application/json"]);
  expect(json).toMatchObject({ name: "/busy", num_procs: 0, storage_stats: {}, pids_stats: { current: 1, limit: 50 } });
  expect(json.id).toMatch(/^[0-9a-f]{64}$/);
  const { cpu_stats: now, precpu_stats: before } = json;
  expect(now.cpu_usage.total_usage).toBeGreaterThan(before.cpu_usage.total_usage);
  expect(now.system_cpu_usage).toBeGreaterThan(before.system_cpu_usage);
  expect(now.online_cpus).toBe(before.online_cpus);
  expect(Date.parse(json.read)).toBeGreaterThan(Date.parse(json.preread));
  expect(json.read).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  expect(Object.keys(now.throttling_data)).toEqual(["periods", "throttled_periods", "throttled_time"]);
  const { usage, limit, stats } = json.memory_stats;
  expect(limit).toBe(64 << 20);
  expect(usage).toBeGreaterThan(4096);
  expect(usage).toBeLessThan(limit);
  expect(Object.keys(stats)).toContain("inactive_file");
  expect(json.networks.eth0.rx_bytes).toBeNumber();
  expect(json.blkio_stats.io_service_bytes_recursive).toBeArray();
});

test("without a limit of its own it may have what the host has; a joined network's counts, the host's does not", async () => {
  await engine.ok("run", "-d", "--name", "joined", "--network", "container:busy", "busybox", "sleep", "1000");
  await engine.ok("run", "-d", "--name", "hostly", "--network", "host", "busybox", "sleep", "1000");
  await engine.ok("run", "-d", "--name", "alone", "--network", "none", "busybox", "sleep", "1000");
  const of = async (name: string) => (await call(engine, `GET /containers/${name}/stats?stream=0&one-shot=1`)).json;
  expect((await of("idle")).memory_stats.limit).toBe(totalmem());
  expect(Object.keys((await of("joined")).networks)).toEqual(["eth0"]);
  expect((await of("hostly")).networks).toBeUndefined();
  expect((await of("alone")).networks).toBeUndefined();
  await engine.ok("rm", "-f", "joined", "hostly", "alone");
});

test("one shot compares with nothing, and cannot go on", async () => {
  const { json } = await call(engine, "GET /containers/busy/stats?stream=false&one-shot=true");
  expect(json.preread).toBe(never);
  expect(json.precpu_stats.cpu_usage.total_usage).toBe(0);
  expect(json.precpu_stats.system_cpu_usage).toBeUndefined();
  expect(await call(engine, "GET /containers/busy/stats?one-shot=1")).toMatchObject({
    status: 400,
    json: { message: "cannot have stream=true and one-shot=true" },
  });
});

test("traffic is counted", async () => {
  const received = async () =>
    (await call(engine, "GET /containers/idle/stats?stream=0&one-shot=1")).json.networks.eth0.rx_bytes as number;
  const before = await received();
  const address = await engine.ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "idle");
  await engine.docker("exec", "busy", "ping", "-c", "3", "-i", "0.2", "-s", "1000", "-W", "1", address);
  await until("3 kB have arrived", async () => (await received()) - before > 3000);
});

test("zeros for one that does not run, 404 for one that is not there", async () => {
  await engine.ok("create", "--name", "still", "busybox", "true");
  const { json } = await call(engine, "GET /containers/still/stats?stream=0");
  expect(json).toMatchObject({ name: "/still", read: never, preread: never, pids_stats: {}, memory_stats: {} });
  expect(json.cpu_stats.cpu_usage.total_usage).toBe(0);
  for (const query of ["", "?stream=0"])
    expect(await call(engine, `GET /containers/nope/stats${query}`)).toMatchObject({
      status: 404,
      json: { message: "No such container: nope" },
    });
});

test("a stream goes on with zeros when the container stops, begins anew, and ends with its removal", async () => {
  await engine.ok("run", "-d", "--name", "brief", "busybox", "sleep", "1000");
  const socket = await dial(engine);
  let text = "";
  let over = false;
  socket.on("data", (chunk) => (text += chunk.toString())).on("close", () => (over = true));
  socket.on("end", () => (over = true));
  socket.write("GET /containers/brief/stats HTTP/1.1\r\nHost: x\r\n\r\n");
  const reads = () => [...text.matchAll(/"read":"([^"]*)","preread":"([^"]*)"/g)].map(([, ...times]) => times);
  await until("two samples", () => reads().length >= 2);
  const [first, second] = reads();
  expect(second?.[1]).toBe(first?.[0] ?? "");
  await engine.ok("kill", "brief");
  await until("zeros", () => reads().at(-1)?.[0] === never);
  await engine.ok("start", "brief");
  await until("samples again", () => reads().at(-1)?.[0] !== never);
  await engine.ok("rm", "-f", "brief");
  await until("the end of the stream", () => over || text.endsWith("0\r\n\r\n"));
  socket.destroy();
});

test("one that has left is read no more", async () => {
  const leaving = new AbortController();
  const response = await fetch("http://berth/containers/busy/stats", {
    unix: engine.host.replace("unix://", ""),
    signal: leaving.signal,
  });
  await response.body?.getReader().read();
  leaving.abort();
  expect((await call(engine, "GET /_ping")).text).toBe("OK");
});

test.each(["docker", "berth"] as const)("%s stats --no-stream", async (which) => {
  const format = "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}} {{.NetIO}}";
  const { stdout, code } = await engine[which]("stats", "--no-stream", "--format", format, "busy", "idle");
  expect(code).toBe(0);
  const [busy = "", idle = ""] = stdout.split("\n");
  const percent = (line: string) => Number(/ ([\d.]+)% /.exec(line)?.[1]);
  expect(percent(busy)).toBeGreaterThan(percent(idle));
  expect(percent(busy)).toBeLessThan(130);
  expect(busy).toMatch(/^busy [\d.]+% [\d.]+[KM]iB \/ 64MiB 1 [\d.]+k?M?B \/ [\d.]+k?M?B$/);
  const all = await engine[which]("stats", "-a", "--no-stream", "--format", "{{.Name}}");
  expect(all.stdout.trim().split("\n").toSorted()).toEqual(["busy", "idle", "still"]);
  const running = await engine[which]("stats", "--no-stream");
  expect(running.stdout.split("\n")[0]).toMatch(
    /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS$/,
  );
  expect(running.stdout.trim().split("\n")).toHaveLength(3);
  const missing = await engine[which]("stats", "--no-stream", "nope");
  expect([missing.code, missing.stderr]).toEqual([1, "Error response from daemon: No such container: nope\n"]);
});

test("berth stats shows containers come and go on a terminal", async () => {
  await using screen = onTerminal("berth", engine.host, ["stats", "--format", "table {{.Name}}\t{{.PIDs}}"]);
  await screen.shows("busy");
  await engine.ok("run", "-d", "--name", "comes", "busybox", "sleep", "1000");
  await screen.shows("comes");
  await engine.ok("rm", "-f", "comes");
  await until("it has gone", () => !(screen.text.split("\x1b[H").at(-2) ?? "comes").includes("comes"));
  expect(screen.text).toContain("\x1b[K\r\n");
});

test("berth stats ends with the container that it watches", async () => {
  await engine.ok("run", "-d", "--name", "watched", "busybox", "sleep", "1000");
  await using screen = onTerminal("berth", engine.host, ["stats", "watched"]);
  await screen.shows("watched");
  await engine.ok("rm", "-f", "watched");
  expect(await screen.exited).toBe(0);
});

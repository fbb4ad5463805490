import { expect, test } from "bun:test";
import type { ContainerStats } from "../../../wire/mod.ts";
import { cli, refusing } from "../../testing/fake.ts";
import { cpuPercent, memoryUsed } from "./figures.ts";

const cpu = (total: number, system: number) => ({
  cpu_usage: { total_usage: total, usage_in_kernelmode: 0, usage_in_usermode: total },
  system_cpu_usage: system,
  online_cpus: 2,
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
});

const nothing = {
  io_serviced_recursive: null,
  io_queue_recursive: null,
  io_service_time_recursive: null,
  io_wait_time_recursive: null,
  io_merged_recursive: null,
  io_time_recursive: null,
  sectors_recursive: null,
};

const traffic = (bytes: number) => ({
  ...{ rx_bytes: bytes, rx_packets: 1, rx_errors: 0, rx_dropped: 0 },
  ...{ tx_bytes: 2 * bytes, tx_packets: 1, tx_errors: 0, tx_dropped: 0 },
});

const id = "ab12".repeat(16);
const busy: ContainerStats = {
  name: "/web",
  id,
  read: "2026-01-01T00:00:01Z",
  preread: "2026-01-01T00:00:00Z",
  pids_stats: { current: 7 },
  num_procs: 0,
  storage_stats: {},
  cpu_stats: cpu(1_500_000_000, 4_000_000_000),
  precpu_stats: cpu(1_000_000_000, 2_000_000_000),
  memory_stats: { usage: 64 << 20, limit: 256 << 20, stats: { inactive_file: 1 << 20, total_inactive_file: 32 << 20 } },
  blkio_stats: {
    ...nothing,
    io_service_bytes_recursive: [
      { major: 8, minor: 0, op: "Read", value: 1000 },
      { major: 8, minor: 16, op: "read", value: 500 },
      { major: 8, minor: 0, op: "Write", value: 2_000_000 },
      { major: 8, minor: 0, op: "Total", value: 2_001_000 },
    ],
  },
  networks: { eth0: traffic(500), eth1: traffic(700) },
};
const idle: ContainerStats = {
  ...busy,
  cpu_stats: { ...cpu(0, 0), system_cpu_usage: 0 },
  precpu_stats: cpu(0, 0),
  memory_stats: {},
  pids_stats: {},
  blkio_stats: { ...nothing, io_service_bytes_recursive: null },
  networks: {},
};

test("figures as docker's own command line computes them", () => {
  expect(cpuPercent(busy)).toBe(50);
  expect(cpuPercent(idle)).toBe(0);
  const { online_cpus: _, ...old } = busy.cpu_stats;
  const perCpu = { ...old, cpu_usage: { ...old.cpu_usage, percpu_usage: [1, 2, 3, 4] } };
  expect(cpuPercent({ ...busy, cpu_stats: perCpu })).toBe(100);
  expect(memoryUsed(busy)).toBe(32 << 20);
  const v2 = { usage: 64 << 20, stats: { inactive_file: 16 << 20 } };
  expect(memoryUsed({ ...busy, memory_stats: v2 })).toBe(48 << 20);
  expect(memoryUsed({ ...busy, memory_stats: { usage: 5, stats: { inactive_file: 6 } } })).toBe(5);
  expect(memoryUsed(idle)).toBe(0);
});

test("one picture of what is named, in columns, as JSON and by a template", async () => {
  const answers = { "GET /containers/web/stats": busy, [`GET /containers/${id}/stats`]: busy };
  const table = await cli(["stats", "--no-stream", "web"], { answers });
  expect(table.out).toBe(
    `${"CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O         BLOCK I/O     PIDS"}\n` +
      `${"ab12ab12ab12   web       50.00%    32MiB / 256MiB      12.50%    1.2kB / 2.4kB   1.5kB / 2MB   7"}\n`,
  );
  expect(table.asked).toEqual(["GET /containers/web/stats?stream=false"]);
  const json = await cli(["container", "stats", "--no-stream", "--format", "json", "web"], { answers });
  expect(JSON.parse(json.out)).toEqual({
    ...{ Container: "web", ID: "ab12ab12ab12", Name: "web", CPUPerc: "50.00%", MemUsage: "32MiB / 256MiB" },
    ...{ MemPerc: "12.50%", NetIO: "1.2kB / 2.4kB", BlockIO: "1.5kB / 2MB", PIDs: "7" },
  });
  const format = "{{.Container}} {{.ID}} {{.PIDs}}";
  expect((await cli(["stats", "--no-stream", "--no-trunc", "--format", format, id], { answers })).out).toBe(
    `${id} ${id} 7\n`,
  );
});

test("without names: what runs, or everything; one that has gone since is left out", async () => {
  const answers = {
    "GET /containers/json": [{ Id: id }, { Id: "gone" }],
    [`GET /containers/${id}/stats`]: idle,
    "GET /containers/gone/stats": refusing("not-found", "No such container: gone"),
  };
  const { out, asked, status } = await cli(["stats", "-a", "--no-stream", "--format", "{{.Container}} {{.MemUsage}}"], {
    answers,
  });
  expect([out, status]).toEqual(["ab12ab12ab12 0B / 0B\n", 0]);
  expect(asked[0]).toBe("GET /containers/json?all=true");
});

test.each([["--no-stream"], []])("one that is named and not there is an error (%p)", async (...flags) => {
  const answers = {
    "GET /containers/web/stats": flags.length > 0 ? busy : [busy],
    "GET /containers/nope/stats": refusing("not-found", "No such container: nope"),
  };
  const { out, err, status } = await cli(["stats", ...flags, "nope", "web"], { answers });
  expect([out, err, status]).toEqual(["", "Error response from daemon: No such container: nope\n", 1]);
});

test("a stream that has ended, since its container was removed, ends the command", async () => {
  const { status } = await cli(["stats", "web"], { answers: { "GET /containers/web/stats": [busy, busy] } });
  expect(status).toBe(0);
});

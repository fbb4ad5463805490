import { describe, expect, test } from "bun:test";
import { totalmem } from "node:os";
import type { CgroupUsage } from "../../host/mod.ts";
import { present } from "./present.ts";
import type { Sample } from "./sample.ts";
import { Sampler } from "./sampler.ts";

const usage: CgroupUsage = {
  cpu: { totalNs: 9, userNs: 5, systemNs: 4, periods: 1, throttledPeriods: 2, throttledNs: 3 },
  memory: { usage: 10, limit: Number.POSITIVE_INFINITY, stats: { anon: 1 } },
  pids: { current: 3, limit: Number.POSITIVE_INFINITY },
  io: { bytes: [{ major: 8, minor: 0, op: "read", value: 4 }] },
};

function sampleAt(ticks: number, more: Partial<Sample> = {}): Sample {
  const processors = { totalNs: 100, online: 2 };
  return {
    ...{ at: "2026-01-01T00:00:00.000000000Z", ticks, started: "s", cpu: usage.cpu, processors, usage, interfaces: [] },
    ...more,
  };
}

const who = { id: "abc", name: "web" };
const zeroCpu = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

describe("Docker's shape", () => {
  test("of cgroup v2: what it does not count is left out", () => {
    const { cpu_stats, memory_stats, pids_stats, blkio_stats, networks } = present(who, { sample: sampleAt(0) });
    expect(cpu_stats).toEqual({
      cpu_usage: { total_usage: 9, usage_in_kernelmode: 4, usage_in_usermode: 5 },
      ...{ system_cpu_usage: 100, online_cpus: 2 },
      throttling_data: { periods: 1, throttled_periods: 2, throttled_time: 3 },
    });
    expect(memory_stats).toEqual({ usage: 10, stats: { anon: 1 }, limit: totalmem() });
    expect(pids_stats).toEqual({ current: 3 });
    expect(blkio_stats.io_service_bytes_recursive).toEqual([{ major: 8, minor: 0, op: "read", value: 4 }]);
    expect(blkio_stats.io_serviced_recursive).toBeNull();
    expect(networks).toBeUndefined();
  });

  test("of cgroup v1, with limits and a network", () => {
    const v1: CgroupUsage = {
      cpu: { ...usage.cpu, perCpuNs: [5, 4] },
      memory: { usage: 10, limit: 4096, maxUsage: 20, failures: 4, stats: { cache: 1 } },
      pids: { current: 3, limit: 50 },
      io: { bytes: [], operations: [{ major: 8, minor: 0, op: "Read", value: 1 }] },
    };
    const traffic = { bytes: 1, packets: 2, errors: 3, dropped: 4 };
    const interfaces = [{ name: "eth0", received: traffic, sent: { ...traffic, bytes: 9 } }];
    const stats = present(who, { sample: sampleAt(0, { usage: v1, cpu: v1.cpu, interfaces }), before: sampleAt(0) });
    expect(stats.cpu_stats.cpu_usage.percpu_usage).toEqual([5, 4]);
    expect(stats.memory_stats).toEqual({ usage: 10, max_usage: 20, failcnt: 4, stats: { cache: 1 }, limit: 4096 });
    expect(stats.pids_stats).toEqual({ current: 3, limit: 50 });
    expect(stats.blkio_stats.io_serviced_recursive).toHaveLength(1);
    expect(stats.blkio_stats.io_queue_recursive).toEqual([]);
    expect(stats.networks).toEqual({
      eth0: {
        ...{ rx_bytes: 1, rx_packets: 2, rx_errors: 3, rx_dropped: 4 },
        ...{ tx_bytes: 9, tx_packets: 2, tx_errors: 3, tx_dropped: 4 },
      },
    });
    expect(stats.precpu_stats.cpu_usage.total_usage).toBe(9);
    expect(stats.preread).toBe("2026-01-01T00:00:00.000000000Z");
  });

  test("of one that does not run", () => {
    expect(present(who, {})).toEqual({
      ...{ name: "/web", id: "abc", read: "0001-01-01T00:00:00Z", preread: "0001-01-01T00:00:00Z" },
      ...{ pids_stats: {}, num_procs: 0, storage_stats: {}, memory_stats: {} },
      ...{ cpu_stats: zeroCpu, precpu_stats: zeroCpu },
      blkio_stats: {
        ...{ io_service_bytes_recursive: null, io_serviced_recursive: null, io_queue_recursive: null },
        ...{ io_service_time_recursive: null, io_wait_time_recursive: null, io_merged_recursive: null },
        ...{ io_time_recursive: null, sectors_recursive: null },
      },
    });
  });
});

describe("the sampler", () => {
  const never = new AbortController().signal;

  test("reads once a tick for all who watch, and not at all when nobody does", async () => {
    const read: string[] = [];
    const sampler = new Sampler((id) => {
      read.push(id);
      return sampleAt(performance.now());
    });
    expect(sampler.watched).toBe(0);
    {
      using a = sampler.watch("one");
      using b = sampler.watch("one");
      using c = sampler.watch("two");
      const [first, second] = await Promise.all([a.next(never), b.next(never), c.next(never)]);
      expect(first).toBe(second);
      expect(read).toEqual(["one", "two"]);
    }
    expect(sampler.watched).toBe(0);
    await Bun.sleep(1100);
    expect(read).toEqual(["one", "two"]);
  });

  test("tells of a container without a process, and lets go of who leaves", async () => {
    const sampler = new Sampler(() => undefined);
    using watch = sampler.watch("one");
    expect(await watch.next(never)).toBeUndefined();
    const leaving = new AbortController();
    const waiting = watch.next(leaving.signal);
    leaving.abort();
    expect(await waiting).toBeUndefined();
    expect(await watch.next(leaving.signal)).toBeUndefined();
  });

  test("a sample that fails is nobody's end: the next one is told", async () => {
    let failures = 1;
    const sampler = new Sampler(() => {
      if (failures-- > 0) throw new Error("EMFILE");
      return sampleAt(performance.now());
    });
    using watch = sampler.watch("one");
    expect(await watch.next(never)).toBeDefined();
  });

  test("keeps what can be compared with: of the same process, neither too new nor too old", () => {
    let ticks = performance.now() - 100_000;
    const sampler = new Sampler((id) => sampleAt(ticks, { started: id === "new" ? "later" : "s" }));
    sampler.take("old");
    expect(sampler.kept("old", "s")).toBeUndefined();
    ticks = performance.now() - 5000;
    sampler.take("web");
    sampler.take("new");
    expect(sampler.kept("web", "s")?.ticks).toBe(ticks);
    expect(sampler.kept("new", "s")).toBeUndefined();
    const older = ticks;
    for (const age of [50, 30, 10]) {
      ticks = performance.now() - age;
      sampler.take("web");
    }
    expect(sampler.kept("web", "s")?.ticks).toBe(older);
  });
});

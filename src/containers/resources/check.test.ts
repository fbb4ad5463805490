import { describe, expect, test } from "bun:test";
import { createCgroups } from "../../host/mod.ts";
import type { HostConfig } from "../../wire/mod.ts";
import { emptyHostConfig } from "../testing/bodies.ts";
import { settleResources } from "./check.ts";
import { expandList } from "./cpuset.ts";

const none = createCgroups("/nonexistent").controls;
const all = {
  ...none,
  ...Object.fromEntries(Object.entries(none).map(([name, has]) => [name, has === false ? true : has])),
  ...{ cpus: "0-1", mems: "0" },
};

const settle = (over: Partial<HostConfig>, controls = all, update = false) =>
  settleResources({ ...emptyHostConfig, ...over }, { controls, cpuCount: 2, update });

describe("what the host cannot do is discarded, in Docker's words", () => {
  const device = [{ Path: "/dev/sda", Rate: 1 }];
  const asked: Partial<HostConfig> = {
    ...{ Memory: 64 << 20, MemorySwap: 128 << 20, MemoryReservation: 8 << 20, MemorySwappiness: 5 },
    ...{ OomKillDisable: true, PidsLimit: 5, CpuShares: 5, CpuQuota: 5000, CpuPeriod: 10_000 },
    ...{ CpusetCpus: "0", CpusetMems: "0", BlkioWeight: 100 },
    ...{ BlkioWeightDevice: [{ Path: "/dev/sda", Weight: 100 }], BlkioDeviceReadBps: device },
    ...{ BlkioDeviceWriteBps: device, BlkioDeviceReadIOps: device, BlkioDeviceWriteIOps: device },
  };

  test("all of it", () => {
    const { resources, warnings } = settle(asked, none);
    expect(resources).toEqual({
      ...emptyHostConfig,
      ...{ MemorySwap: -1, BlkioWeightDevice: [], BlkioDeviceReadBps: [], BlkioDeviceWriteBps: [] },
      ...{ BlkioDeviceReadIOps: [], BlkioDeviceWriteIOps: [] },
    });
    expect(warnings).toEqual([
      "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
      "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
      "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
      "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
      "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
      "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.",
      "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
      "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.",
      "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.",
      "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
      "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
      "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.",
      "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
      "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.",
    ]);
  });

  test("nothing, where all is there", () => {
    const { resources, warnings } = settle(asked);
    expect(resources).toEqual({ ...emptyHostConfig, ...asked });
    expect(warnings).toEqual([]);
  });

  test("without swap accounting memory is limited alone", () => {
    const { resources, warnings } = settle({ Memory: 64 << 20 }, { ...all, swap: false });
    expect(resources).toMatchObject({ Memory: 64 << 20, MemorySwap: -1 });
    expect(warnings).toHaveLength(1);
    expect(settle({ Memory: 64 << 20, MemorySwap: -1 }, { ...all, swap: false }).warnings).toEqual([]);
  });

  test("what cannot be left out is refused", () => {
    expect(() => settle({ NanoCpus: 1e9 }, none)).toThrow("NanoCPUs can not be set, as your kernel does not support");
    expect(() => settle({ CpuRealtimeRuntime: 1000 }, none)).toThrow("does not support CPU real-time scheduler");
    expect(settle({ OomKillDisable: true }).warnings).toEqual([expect.stringMatching(/no memory limit is set/)]);
  });
});

describe("what makes no sense", () => {
  const bad: [Partial<HostConfig>, string][] = [
    [{ Memory: -1 }, "Minimum memory limit allowed is 6MB"],
    [{ Memory: 64 << 20, MemorySwap: 32 << 20 }, "Minimum memoryswap limit should be larger than memory limit"],
    [{ MemorySwap: 32 << 20 }, "You should always set the Memory limit when using Memoryswap limit"],
    [{ MemorySwap: -2 }, "-1 is no limit"],
    [{ MemorySwappiness: 101 }, "valid memory swappiness range is 0-100"],
    [{ MemoryReservation: 5 }, "Minimum memory reservation allowed is 6MB"],
    [{ Memory: 8 << 20, MemoryReservation: 9 << 20 }, "can not be less than memory reservation limit"],
    [{ NanoCpus: 3e9 }, "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"],
    [{ NanoCpus: 1e9, CpuPeriod: 5000 }, "Nano CPUs and CPU Period cannot both be set"],
    [{ NanoCpus: 1e9, CpuQuota: 5000 }, "Nano CPUs and CPU Quota cannot both be set"],
    [{ CpuPeriod: 999 }, "CPU cfs period can not be less than 1ms"],
    [{ CpuQuota: 999 }, "CPU cfs quota can not be less than 1ms"],
    [{ CpuShares: -1 }, "invalid CPU shares (-1)"],
    [{ CpusetCpus: "2" }, "Requested CPUs are not available - requested 2, available: 0-1"],
    [{ CpusetCpus: "1-0" }, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"],
    [{ CpusetCpus: "0-99999999999" }, "Invalid value 0-99999999999 for cpuset cpus"],
    [{ CpusetMems: "1" }, "Requested memory nodes are not available - requested 1, available: 0"],
    [{ BlkioWeight: 9 }, "Range of blkio weight is from 10 to 1000"],
    [{ BlkioWeightDevice: [{ Path: "/dev/sda", Weight: 2000 }] }, "invalid weight for device: /dev/sda:2000"],
    [{ BlkioDeviceReadBps: [{ Path: "/dev/sda", Rate: -1 }] }, "invalid rate for device: /dev/sda:-1"],
    [{ DeviceCgroupRules: ["c 1:1"] }, "invalid device cgroup rule format"],
  ];
  test.each(bad)("%j", (over, message) => {
    expect(() => settle(over)).toThrow(message);
  });

  test("an update may name memory and swap together alone", () => {
    expect(settle({ MemorySwap: 32 << 20 }, all, true).resources.MemorySwap).toBe(32 << 20);
  });
});

test("lists of processors", () => {
  expect([...(expandList("0-2,5") ?? [])]).toEqual([0, 1, 2, 5]);
  expect(expandList("")?.size).toBe(0);
  for (const bad of ["x", "1-", "-1", "3-1", "1;2", "0-10000000"]) expect(expandList(bad)).toBeUndefined();
});

import { expect, test } from "bun:test";
import { createCgroups } from "../host/mod.ts";
import { lifted, resourcesOf } from "./resources.ts";
import { controls, plainInput } from "./testing/lab.ts";

const none = plainInput.resources;
const v2 = controls({ swappiness: false, oomKillDisable: false, cpuRealtime: false, blkioWeight: true });
const asked = {
  ...none,
  ...{ memory: 100, memorySwap: 300, memoryReservation: 50, memorySwappiness: 10, oomKillDisable: true },
  ...{ cpuShares: 512, cpuPeriod: 50_000, cpuQuota: 20_000, cpusetCpus: "0-1", cpusetMems: "0" },
  ...{ cpuRealtimePeriod: 1_000_000, cpuRealtimeRuntime: 1000, pidsLimit: 10, blkioWeight: 500 },
  throttle: [
    { kind: "readBps", major: 8, minor: 0, rate: 1024 },
    { kind: "writeIOps", major: 8, minor: 16, rate: 5 },
  ] as const,
  weightDevices: [{ major: 8, minor: 0, weight: 200 }],
};

test("the runtime is told what was asked for: on v2 it converts", () => {
  expect(resourcesOf(asked, { controls: v2 })).toEqual({
    memory: { limit: 100, swap: 300, reservation: 50 },
    cpu: { shares: 512, period: 50_000, quota: 20_000, cpus: "0-1", mems: "0" },
    pids: { limit: 10 },
    blockIO: {
      weight: 500,
      weightDevice: [{ major: 8, minor: 0, weight: 200 }],
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1024 }],
      throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 5 }],
    },
  });
});

test("v1 has more of it", () => {
  expect(resourcesOf(asked, { controls: controls() })).toMatchObject({
    memory: { swappiness: 10, disableOOMKiller: true },
    cpu: { realtimePeriod: 1_000_000, realtimeRuntime: 1000 },
  });
});

test("nothing where nothing can be limited, nothing where nothing is asked", () => {
  expect(resourcesOf(asked, { controls: createCgroups("/nonexistent").controls })).toEqual({});
  expect(resourcesOf(none, { controls: v2 })).toEqual({});
});

test("swap is as much again as memory, and -1 is no limit", () => {
  expect(resourcesOf({ ...none, memory: 5 }, { controls: v2 })).toEqual({ memory: { limit: 5, swap: 10 } });
  expect(resourcesOf({ ...none, memory: 5, memorySwap: -1 }, { controls: v2 })).toEqual({
    memory: { limit: 5, swap: -1 },
  });
  expect(resourcesOf({ ...none, memory: 5 }, { controls: { ...v2, swap: false } })).toEqual({ memory: { limit: 5 } });
});

test("CPUs are a quota; below 0 is none, which is lifted apart", () => {
  expect(resourcesOf({ ...none, nanoCpus: 1.5e9 }, { controls: v2 })).toEqual({
    cpu: { period: 100_000, quota: 150_000 },
  });
  const lifting = { ...none, cpuQuota: -1, pidsLimit: -1 };
  expect(resourcesOf(lifting, { controls: v2 })).toEqual({});
  expect(lifted(lifting)).toEqual(["cpuQuota", "pids"]);
  expect(lifted(none)).toEqual([]);
});

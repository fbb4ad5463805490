import { expect, test } from "bun:test";
import { decodeContainerCreate } from "../wire/mod.ts";
import { checkConflicts } from "./update-conflicts.ts";

const { hostConfig } = decodeContainerCreate({ Image: "x" });

test("two ways to limit the CPU exclude each other", () => {
  const conflict = (host: object, body: object) => () => checkConflicts("id", { ...hostConfig, ...host }, body);
  expect(conflict({ NanoCpus: 5 }, { CpuQuota: 6 })).toThrow(
    "Cannot update container id: Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
  );
  expect(conflict({ CpuPeriod: 5 }, { NanoCpus: 6 })).toThrow("Nano CPUs cannot be updated as CPU Period");
  expect(conflict({ NanoCpus: 5 }, { NanoCpus: 6, CpuShares: 7 })).not.toThrow();
  expect(conflict({}, { CpuQuota: 6, CpuPeriod: 7 })).not.toThrow();
});

test("memory above the swap limit that is there needs a new one", () => {
  const update = (MemorySwap: number, body: object) => () => checkConflicts("id", { ...hostConfig, MemorySwap }, body);
  expect(update(100, { Memory: 101 })).toThrow("Memory limit should be smaller than already set memoryswap limit");
  expect(update(100, { Memory: 100 })).not.toThrow();
  expect(update(100, { Memory: 200, MemorySwap: 300 })).not.toThrow();
  expect(update(-1, { Memory: 200 })).not.toThrow();
  expect(update(0, { Memory: 200 })).not.toThrow();
});

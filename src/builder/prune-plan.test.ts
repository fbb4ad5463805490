import { expect, test } from "bun:test";
import { type CacheSpace, planPrune } from "./prune-plan.ts";
import type { CacheRecord } from "./records.ts";

const common = {
  kind: "step",
  type: "regular",
  parents: [],
  shared: false,
  inUse: false,
  created: 0,
  uses: 0,
} as const;

function record(id: string, more: Partial<CacheRecord> = {}): CacheRecord {
  return { ...common, id, key: id, description: `RUN ${id}`, bytes: 10, used: 0, ...more };
}

const records = [
  record("base", { used: 1 }),
  record("old", { used: 2 }),
  record("middle", { used: 3, parents: ["base"] }),
  record("image", { used: 4, shared: true, bytes: 100 }),
  record("mount", { used: 5, kind: "mount", type: "exec.cachemount" }),
  record("leaf", { used: 6, parents: ["middle"] }),
  record("busy", { used: 7, inUse: true }),
];

const none: CacheSpace = { reserved: 0, most: 0, minFree: 0, free: 0 };

function gone(filter: Record<string, string> = {}, space: Partial<CacheSpace> = {}): string[] {
  const filters = new Map(Object.entries(filter).map(([key, value]) => [key, [value]]));
  return planPrune(records, { filter: filters, space: { ...none, ...space } }).map(({ id }) => id);
}

test("without limits everything goes that no build uses, what was used longest ago first, and nothing before what stands on it", () => {
  expect(gone()).toEqual(["old", "image", "mount", "leaf", "middle", "base"]);
});

test("filters", () => {
  expect(gone({ id: "mi" })).toEqual(["middle"]);
  expect(gone({ type: "exec.cachemount" })).toEqual(["mount"]);
  expect(gone({ parent: "base" })).toEqual(["middle"]);
  expect(gone({ shared: "true" })).toEqual(["image"]);
  expect(gone({ private: "false" })).toEqual(["image"]);
  expect(gone({ inuse: "1" })).toEqual(["busy"]);
  expect(gone({ description: "RUN ol" })).toEqual(["old"]);
  expect(gone({ until: "1970-01-01T00:00:00.003Z" })).toEqual(["old", "base"]);
  expect(gone({ "unused-for": "24h" })).toHaveLength(6);
  expect(() => gone({ colour: "red" })).toThrow("invalid filter 'colour'");
  expect(() => gone({ type: "red" })).toThrow("invalid filter 'type=red'");
});

test("space: as much goes as must, and what images have too frees none", () => {
  expect(gone({}, { most: 60 })).toEqual([]);
  expect(gone({}, { most: 45 })).toEqual(["old", "image", "mount"]);
  expect(gone({}, { most: 10, reserved: 50 })).toEqual(["old"]);
  expect(gone({}, { reserved: 50 })).toEqual(["old"]);
  expect(gone({}, { minFree: 100, free: 95 })).toEqual(["old"]);
  expect(gone({}, { minFree: 100, free: 100 })).toEqual([]);
  expect(gone({ type: "exec.cachemount" }, { most: 1 })).toEqual(["mount"]);
});

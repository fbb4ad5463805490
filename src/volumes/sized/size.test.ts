import { expect, test } from "bun:test";
import { checkOptions, isMounted, needsMount } from "../mounts/options.ts";
import { diskPlan, limitOf, parseLimit } from "./size.ts";

const [MiB, GiB] = [2 ** 20, 2 ** 30];

test("a size is a limit unless the options lead to what somebody else has made", () => {
  expect(limitOf({ size: "1.5g" })).toBe(1.5 * GiB);
  expect(limitOf({})).toBe(0);
  expect(limitOf({ size: "0" })).toBe(0);
  expect(limitOf({ size: "1g", type: "tmpfs", device: "tmpfs" })).toBe(0);
  expect([isMounted({ size: "1g" }), needsMount({ size: "1g" }), needsMount({ size: "0" })]).toEqual([
    false,
    true,
    false,
  ]);
});

test("sizes in Docker's words", () => {
  expect(parseLimit("create v1", "64MiB")).toBe(64 * MiB);
  for (const wrong of ["", "x", "-1", "1x", "1g1"]) {
    expect(() => parseLimit("create v1", wrong)).toThrow(`create v1: invalid size: '${wrong}'`);
  }
  expect(() => parseLimit("create v1", "4095")).toThrow("a volume has at least 4096 bytes");
  expect(() => parseLimit("create v1", "65t")).toThrow("invalid size: '65t': a volume has at most 64 TiB");
  expect(() => checkOptions("v1", { size: "1m", type: "tmpfs", device: "tmpfs" })).toThrow(
    "create v1: quota size requested but no quota support",
  );
  expect(() => checkOptions("v1", { size: "0k", type: "tmpfs", device: "tmpfs" })).not.toThrow();
});

test("a disk has room to grow, but not beyond the host, and always for its limit", () => {
  const roomy = diskPlan(GiB, 1000 * GiB);
  expect(roomy).toEqual({ bytes: 64 * GiB, inodes: 2 ** 20, journalMiB: 32 });
  expect(diskPlan(10 * GiB, 1000 * GiB).bytes).toBe(160 * GiB);
  expect(diskPlan(GiB, 10 * GiB).bytes).toBe(10 * GiB);
  const tight = diskPlan(10 * GiB, 10 * GiB);
  expect(tight.bytes).toBeGreaterThan(10 * GiB + tight.inodes * 256 + 64 * MiB);
  expect(diskPlan(MiB, 1000 * GiB).journalMiB).toBe(4);
  expect(diskPlan(4097, 5 * GiB).bytes % 4096).toBe(0);
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { until } from "../../test/support/until.ts";
import { diskSpace, limitDisk, mountDisk } from "./aside/disk.ts";
import type { JobContext } from "./host.ts";
import { withLoop } from "./loop.ts";
import { createMounts } from "./mounts.ts";

const mounts = createMounts();
const context: JobContext = { check: () => undefined, report: () => undefined };
const [KiB, MiB] = [2 ** 10, 2 ** 20];
let directory = "";
let image = "";
let target = "";

beforeEach(() => {
  directory = mkdtempSync("/tmp/berth-loop-");
  [image, target] = [join(directory, "disk"), join(directory, "at")];
  writeFileSync(image, "");
  truncateSync(image, 64 * MiB);
  mkdirSync(target);
});
afterEach(() => {
  mounts.unmount(target, "detach");
  rmSync(directory, { recursive: true });
});

const backing = (device: string) => {
  const path = `/sys/block/${basename(device)}/loop/backing_file`;
  return existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
};
const format = () => {
  const made = Bun.spawnSync(["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", image]);
  expect(made.stderr.toString()).toBe("");
};
const mount = (limit: number) => mountDisk.run({ image, target, limit }, context);
const mountEmpty = (limit: number) => {
  format();
  mount(limit);
  rmdirSync(join(target, "lost+found"));
};
/** How much of it could be written. */
const write = (bytes: number) => {
  const path = join(target, "file");
  rmSync(path, { force: true });
  Bun.spawnSync(["dd", "if=/dev/zero", `of=${path}`, "bs=64K", `count=${Math.ceil(bytes / (64 * KiB))}`]);
  return statSync(path).size;
};

test("a file has one device, which goes with its last user", async () => {
  const outer = withLoop(image, (device) => {
    expect(backing(device)).toBe(image);
    withLoop(image, (again) => expect(again).toBe(device));
    expect(backing(device)).toBe(image);
    return device;
  });
  await until("the device is free", () => backing(outer) !== image);
});

test("a limit holds for root, can be moved both ways, and goes with the mount", async () => {
  mountEmpty(MiB);
  expect(write(2 * MiB)).toBeLessThan(MiB + 64 * KiB);
  await limitDisk.run({ image, target, limit: 3 * MiB }, context);
  expect(write(3 * MiB)).toBe(3 * MiB);
  await limitDisk.run({ image, target, limit: MiB }, context);
  expect((await diskSpace(target)).used).toBeGreaterThan(3 * MiB - 16 * KiB);
  expect(write(2 * MiB)).toBeLessThan(MiB + 64 * KiB);
  expect(() => limitDisk.run({ image, target, limit: 65 * MiB }, context)).toThrow("it has room for");
  const { source } = mounts.list().find((one) => one.target === target) ?? { source: "" };
  mounts.unmount(target);
  await until("the device is free", () => backing(source) !== image);
});

test("a limit is for the file's own file system, whatever lies at its place", async () => {
  mountEmpty(MiB);
  mounts.unmount(target);
  await until("it is unmounted", () => statSync(target).dev === statSync(directory).dev);
  expect(() => limitDisk.run({ image, target, limit: MiB }, context)).toThrow("is not mounted there");
});

test("what is still mounted somewhere is mounted again, not a second time", async () => {
  format();
  const [first, second] = [target, join(directory, "second")];
  mkdirSync(second);
  await mount(MiB);
  target = second;
  await mount(MiB);
  writeFileSync(join(first, "file"), "one");
  expect(readFileSync(join(second, "file"), "utf8")).toBe("one");
  mounts.unmount(first);
  expect(readFileSync(join(second, "file"), "utf8")).toBe("one");
});

test("what is no file system, or is to have a limit that it has no room for, is not mounted", () => {
  expect(() => mount(MiB)).toThrow(`Mount ${image} at ${target}: invalid argument`);
  format();
  expect(() => mount(65 * MiB)).toThrow(`Limit ${target} to ${65 * MiB} bytes: it has room for`);
  expect(mounts.list().filter((one) => one.target === target)).toEqual([]);
});

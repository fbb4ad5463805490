import { expect, test } from "bun:test";
import { ago, binarySize, decimalSize, ellipsis, goTime, isoNanoseconds, shortId } from "./units.ts";

test.each([
  [0, "0B", "0B"],
  [999, "999B", "999B"],
  [1500, "1.5kB", "1.465KiB"],
  [187_400_000, "187MB", "178.7MiB"],
  [1_234_567_890, "1.23GB", "1.15GiB"],
  [512 * 2 ** 20, "537MB", "512MiB"],
  [1023, "1.02kB", "1023B"],
])("%d bytes", (bytes, decimal, binary) => {
  expect([decimalSize(bytes), binarySize(bytes)]).toEqual([decimal, binary]);
});

test("four digits where docker has four", () => {
  expect(decimalSize(1_234_567_890, 4)).toBe("1.235GB");
});

test.each([
  [0.5, "Less than a second"],
  [1, "1 second"],
  [59.9, "59 seconds"],
  [60, "About a minute"],
  [119, "About a minute"],
  [120, "2 minutes"],
  [3599, "59 minutes"],
  [3600, "About an hour"],
  [5399, "About an hour"],
  [5400, "2 hours"],
  [47.4 * 3600, "47 hours"],
  [48 * 3600, "2 days"],
  [13 * 86400, "13 days"],
  [14 * 86400, "2 weeks"],
  [60 * 86400, "2 months"],
  [2 * 365 * 86400, "2 years"],
])("%d seconds are %p", (seconds, text) => {
  expect(ago(0, seconds * 1000)).toBe(`${text} ago`);
});

test("times", () => {
  expect(ago(1000, 1_120_000)).toBe("2 minutes ago");
  expect(ago(5000, 0)).toBe("Less than a second ago");
  expect(goTime(1_700_000_000)).toMatch(/^2023-11-1\d \d\d:13:20 [+-]\d{4} \S+$/);
  expect(isoNanoseconds(1_700_000_000_000_000_005n)).toMatch(/^2023-11-1\dT\d\d:13:20\.000000005(Z|[+-]\d\d:\d\d)$/);
});

test("ids and long texts", () => {
  expect(shortId(`sha256:${"a".repeat(64)}`)).toBe("a".repeat(12));
  expect([ellipsis("abc", 3), ellipsis("abcd", 3)]).toEqual(["abc", "ab…"]);
});

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { interfaceCounters, processorTime } from "./usage.ts";

const root = mkdtempSync(join(tmpdir(), "berth-usage-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("processor time is the sum of the first seven columns, over the processors that are online", () => {
  const file = join(root, "stat");
  writeFileSync(
    file,
    "cpu  1 2 3 4 5 6 7 800 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\ncpu3 0 1 2 3 4 5 6 7 0 0\nintr 5 0\nctxt 9\n",
  );
  expect(processorTime(file)).toEqual({ totalNs: 28 * 1e7, online: 2 });
});

test("processor time of this machine", () => {
  const { totalNs, online } = processorTime();
  expect(totalNs).toBeGreaterThan(1e9);
  expect(online).toBeGreaterThanOrEqual(availableParallelism());
});

const header = "Inter-|   Receive | Transmit\n face |bytes    packets errs |bytes packets\n";

test("interfaces but for loopback, whatever they are called and however many there are", () => {
  mkdirSync(join(root, "7/net"), { recursive: true });
  const line = (name: string) => `${name.padStart(6)}:  1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n`;
  const names = Array.from({ length: 3000 }, (_, at) => `dummy${at}`);
  writeFileSync(join(root, "7/net/dev"), [header, ...["lo", "eth0", "__proto__", ...names].map(line)].join(""));
  const found = interfaceCounters(7, root);
  expect(found[0]).toEqual({
    name: "eth0",
    received: { bytes: 1, packets: 2, errors: 3, dropped: 4 },
    sent: { bytes: 9, packets: 10, errors: 11, dropped: 12 },
  });
  expect(found[1]?.name).toBe("__proto__");
  expect(found.length).toBeLessThan(2000);
  expect(found.every(({ sent }) => sent.dropped === 12)).toBe(true);
});

test("a process that is gone has none", () => {
  expect(interfaceCounters(8, root)).toEqual([]);
  expect(interfaceCounters(process.pid).some(({ name }) => name === "lo")).toBe(false);
});

import { expect, test } from "bun:test";
import { ignored } from "./ignored-signal.ts";

/** As /proc/PID/status has it, with these masks and pids from the outermost namespace to the innermost. */
function status({ caught = "0", ignores = "0", pids = "4711\t1" } = {}): string {
  const mask = (hex: string) => hex.padStart(16, "0");
  return `Name:\tsleep\nState:\tS (sleeping)\nNSpid:\t${pids}\nSigIgn:\t${mask(ignores)}\nSigCgt:\t${mask(caught)}\n`;
}

test("PID 1 without a handler gets nothing of a signal", () => {
  expect(ignored(status(), 15)).toBe(
    "PID 1 (sleep) ignores SIGTERM: it has no handler for it, and the kernel's default action does not apply to PID 1",
  );
  expect(ignored(status({ caught: "4000" }), 15)).toBeUndefined();
  expect(ignored(status({ caught: "4000" }), 10)).toContain("ignores SIGUSR1");
  expect(ignored(status(), 40)).toContain("ignores signal 40");
});

test("nobody escapes SIGKILL and SIGSTOP", () => {
  for (const signal of [9, 19]) expect(ignored(status({ ignores: "ffffffffffffffff" }), signal)).toBeUndefined();
});

test("outside a pid namespace the default action ends it, unless it ignores the signal", () => {
  expect(ignored(status({ pids: "4711" }), 15)).toBeUndefined();
  expect(ignored(status({ pids: "4711\t12" }), 15)).toBeUndefined();
  expect(ignored(status({ pids: "4711", ignores: "4000" }), 15)).toBe("its first process (sleep) ignores SIGTERM");
  expect(ignored(status({ ignores: "4000" }), 15)).toBe("PID 1 (sleep) ignores SIGTERM");
});

test("a text that is no status says nothing", () => {
  expect(ignored("", 15)).toBeUndefined();
  expect(ignored("Name:\tx\n", 15)).toBeUndefined();
});

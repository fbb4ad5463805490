import { expect, test } from "bun:test";
import { emptyConfig } from "../testing/bodies.ts";
import { limitText } from "./limit-text.ts";
import { begun, type Check, checked, type Health, nextDelay, unwatched } from "./machine.ts";
import { healthAction, onFailureKey } from "./on-failure.ts";
import { Output } from "./output.ts";
import { checkHealth, healthWarnings, type Plan, planOf } from "./plan.ts";
import { type Clock, watch } from "./watch.ts";

const plan: Plan = { command: ["t"], interval: 100, timeout: 50, startPeriod: 0, startInterval: 10, retries: 3 };
const outcome = (ExitCode: number): Check => ({ Start: "", End: "", ExitCode, Output: "" });
const late = { sinceStart: 1_000_000 };

/** Status and streak after each of these exit codes. */
function course(codes: readonly number[], change: Partial<Plan> = {}, sinceStart = late.sinceStart): string[] {
  let health = begun(undefined);
  return codes.map((code) => {
    health = checked({ ...plan, ...change }, health, { check: outcome(code), sinceStart });
    return `${health.Status} ${health.FailingStreak}`;
  });
}

test("a first success is healthy, so many failures are unhealthy, one success ends that", () => {
  expect(course([0, 1, 1, 1, 1, 0])).toEqual([
    ...["healthy 0", "healthy 1", "healthy 2", "unhealthy 3", "unhealthy 4"],
    "healthy 0",
  ]);
  expect(course([-1, 1, 0])).toEqual(["starting 1", "starting 2", "healthy 0"]);
  expect(course([2], { retries: 1 })).toEqual(["unhealthy 1"]);
});

test("in the start period failures do not count until the first success", () => {
  expect(course([1, 1, 1, 1, 0, 1], { startPeriod: 500 }, 499)).toEqual([
    ...["starting 0", "starting 0", "starting 0", "starting 0", "healthy 0"],
    "healthy 1",
  ]);
  expect(course([1], { startPeriod: 500 }, 500)).toEqual(["starting 1"]);
});

test("the last five checks are remembered, also over a new start", () => {
  let health: Health = begun(undefined);
  for (let code = 0; code < 7; code++) health = checked(plan, health, { check: outcome(code), ...late });
  expect(health.Log.map((one) => one.ExitCode)).toEqual([2, 3, 4, 5, 6]);
  expect(begun(health)).toEqual({ Status: "starting", FailingStreak: 0, Log: health.Log });
  expect(unwatched(begun(health)).Status).toBe("unhealthy");
});

test("the start interval counts in the start period, until the first success", () => {
  const period = { ...plan, startPeriod: 500 };
  expect(nextDelay(period, { Status: "starting" }, 499)).toBe(10);
  expect(nextDelay(period, { Status: "starting" }, 500)).toBe(100);
  expect(nextDelay(period, { Status: "healthy" }, 0)).toBe(100);
  expect(nextDelay(plan, { Status: "starting" }, 0)).toBe(100);
});

test("checks follow each other by the clock, and stop with the signal", async () => {
  const abort = new AbortController();
  let now = 0;
  const at: number[] = [];
  const clock: Clock = {
    now: () => now,
    after: async (ms, signal) => {
      signal.throwIfAborted();
      now += ms;
    },
  };
  const seen: string[] = [];
  const codes = [1, 1, 0, 1];
  const check = async () => {
    at.push(now);
    now += 5;
    return outcome(codes[at.length - 1] ?? 0);
  };
  const changed = (health: Health) => {
    seen.push(health.Status);
    if (seen.length === codes.length) abort.abort(new Error("enough"));
  };
  const watched = { plan: { ...plan, startPeriod: 20 }, started: 0, clock, check, changed };
  await expect(watch(watched, begun(undefined), abort.signal)).rejects.toThrow("enough");
  expect(at).toEqual([10, 25, 130, 235]);
  expect(seen).toEqual(["starting", "starting", "healthy", "healthy"]);
});

test("a result that comes after the end is no result", async () => {
  const abort = new AbortController();
  const changed = () => {
    throw new Error("told");
  };
  const check = async () => {
    abort.abort(new Error("stopped"));
    return outcome(0);
  };
  const clock: Clock = { now: () => 0, after: async () => undefined };
  const watched = { plan, started: 0, clock, check, changed };
  await expect(watch(watched, begun(undefined), abort.signal)).rejects.toThrow("stopped");
});

test("Docker's defaults, the image's shell, and tests that are none", () => {
  const of = (Test: string[], Shell?: string[]) => planOf({ Healthcheck: { Test }, ...(Shell && { Shell }) });
  expect(of(["CMD", "a", "b"])).toEqual({
    ...{ command: ["a", "b"], interval: 30_000, timeout: 30_000, startPeriod: 0, startInterval: 5000, retries: 3 },
  });
  expect(of(["CMD-SHELL", "a b"])?.command).toEqual(["/bin/sh", "-c", "a b"]);
  expect(of(["CMD-SHELL", "a b"], ["/bin/bash", "-ec"])?.command).toEqual(["/bin/bash", "-ec", "a b"]);
  for (const none of [[], ["NONE"], ["FOO", "x"]]) expect(of(none)).toBeUndefined();
  expect(planOf({})).toBeUndefined();
  const odd = { Test: ["CMD", "a"], Interval: 1_500_000, Timeout: 1, StartPeriod: 9e18, Retries: -1 };
  expect(planOf({ Healthcheck: odd })).toMatchObject({
    interval: 1.5,
    timeout: 1,
    startPeriod: 2 ** 31 - 1,
    retries: 3,
  });
});

test("what cannot be is refused in Docker's words, an unknown kind is warned about", () => {
  for (const name of ["Interval", "Timeout", "StartPeriod", "StartInterval"]) {
    for (const value of [-1, 999_999]) {
      expect(() => checkHealth({ [name]: value })).toThrow(`${name} in Healthcheck cannot be less than 1ms`);
    }
  }
  expect(() => checkHealth({ Retries: -1 })).toThrow("Retries in Healthcheck cannot be negative");
  checkHealth({ Interval: 1e6, Timeout: 0, Retries: 0 });
  checkHealth(undefined);
  expect(healthWarnings({ Test: ["FOO"] })[0]).toContain("Unknown health check type 'FOO'");
  for (const Test of [[], ["NONE"], ["CMD"], ["CMD-SHELL", "x"]]) expect(healthWarnings({ Test })).toEqual([]);
});

test("the action on failure: the annotation before the label, refused without a check", () => {
  const config = { ...emptyConfig, Healthcheck: { Test: ["CMD", "t"] }, Labels: { [onFailureKey]: "stop" } };
  expect(healthAction(config, {})).toBe("stop");
  expect(healthAction(config, { Annotations: { [onFailureKey]: "restart" } })).toBe("restart");
  expect(healthAction(emptyConfig, {})).toBe("none");
  expect(healthAction({ ...config, Healthcheck: { Test: ["NONE"] } }, {})).toBe("none");
  expect(() => healthAction(config, { Annotations: { [onFailureKey]: "explode" } })).toThrow(
    "invalid dev.berth.health-on-failure: 'explode': use one of none, kill, restart, stop",
  );
  expect(() => healthAction(emptyConfig, { Annotations: { [onFailureKey]: "kill" } })).toThrow("there is none");
});

test("output is cut at 4096 bytes", () => {
  const output = new Output();
  output.take(Buffer.alloc(4000, "a"));
  expect(output.text()).toHaveLength(4000);
  output.take(Buffer.alloc(96, "b"));
  expect(output.text()).toBe(`${"a".repeat(4000)}${"b".repeat(96)}`);
  output.take(Buffer.from("c"));
  expect(output.text()).toHaveLength(4099);
  expect(output.text()).toEndWith("bb...");
});

test("durations are written as Go writes them", () => {
  expect([500, 1500, 30_000, 90_000, 3_600_000, 3_661_500].map(limitText)).toEqual([
    ...["500ms", "1.5s", "30s", "1m30s", "1h0m0s", "1h1m1.5s"],
  ]);
});

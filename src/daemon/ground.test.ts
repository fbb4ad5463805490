import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fetchUrl } from "./fetch.ts";
import { socketGroup } from "./group.ts";
import { holdLock } from "./lock.ts";
import { preflight } from "./preflight.ts";

test("what a host lacks is named with its package, all at once", () => {
  expect(() => preflight(() => "/usr/bin/there")).not.toThrow();
  const missing =
    (...names: string[]) =>
    () =>
      preflight((program) => (names.includes(program) ? null : `/usr/bin/${program}`));
  expect(missing("nft", "conmon")).toThrow(
    /conmon is missing: apt-get install conmon\n.*nft is missing: apt-get install nftables/,
  );
  expect(missing("crun", "runc")).toThrow("no OCI runtime is installed: apt-get install crun");
  expect(missing("crun")).not.toThrow();
});

test("a directory has one owner at a time, and a new one after it is given up", () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-lock-"));
  const path = join(directory, "lock");
  {
    using _held = holdLock(path);
    expect(() => holdLock(path)).toThrow("is held by another berth process");
  }
  holdLock(path)[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

test("the socket's group is by name or number, and must exist", () => {
  expect(socketGroup("root")).toBe(0);
  expect(socketGroup("123")).toBe(123);
  expect(() => socketGroup("no-such-group")).toThrow("group no-such-group does not exist");
  expect(socketGroup(undefined)).toBeGreaterThanOrEqual(0);
});

test("downloads are http and https only, and say what could not be reached", async () => {
  const { signal } = new AbortController();
  await expect(fetchUrl("file:///etc/passwd", signal)).rejects.toThrow("http and https URLs can be downloaded");
  await expect(fetchUrl("http://127.0.0.1:1/x", signal)).rejects.toThrow("download of http://127.0.0.1:1/x failed");
});

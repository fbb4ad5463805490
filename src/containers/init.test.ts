import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findInit } from "./init.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-init-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A directory of PATH with a program in it: a copy of another one. */
function place(name: string, program: string, source: string): string {
  const path = join(directory, name);
  mkdirSync(path, { recursive: true });
  copyFileSync(source, join(path, program));
  chmodSync(join(path, program), 0o755);
  return path;
}

test("an init program that needs libraries is none for containers", () => {
  const dynamic = place("dynamic", "docker-init", process.execPath);
  const own = place("static", "catatonit", "/bin/busybox");
  expect(findInit(`${dynamic}:${own}`)).toBe(join(own, "catatonit"));
  expect(() => findInit(dynamic)).toThrow("install Debian's package tini or catatonit");
});

test("the order of names comes before the order of places; what cannot be executed does not count", () => {
  const first = place("first", "tini", "/bin/busybox");
  const second = place("second", "docker-init", "/bin/busybox");
  expect(findInit(`${first}:${second}`)).toBe(join(second, "docker-init"));
  chmodSync(join(second, "docker-init"), 0o644);
  expect(findInit(`${first}::${second}`)).toBe(join(first, "tini"));
});

test("files that are no programs are told apart without harm", () => {
  const path = join(directory, "odd");
  mkdirSync(path);
  writeFileSync(join(path, "docker-init"), "\x7fELF", { mode: 0o755 });
  writeFileSync(join(path, "tini"), "#!/bin/sh\n", { mode: 0o755 });
  expect(findInit(path)).toBe(join(path, "docker-init"));
  expect(() => findInit("/nonexistent")).toThrow("--init needs an init program");
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const sleeping = ["busybox", "sleep", "1000"];
const idOf = (name: string) => engine.ok("inspect", "-f", "{{.Id}}", name);
const names = async () => (await engine.ok("ps", "-a", "--format", "{{.Names}}")).split("\n").sort();

test("takes the place of a running one, and keeps its port", async () => {
  const port = String(20_000 + (process.pid % 20_000));
  const first = (await engine.berth("run", "-d", "--replace", "--name", "web", "-p", `${port}:80`, ...sleeping)).stdout;
  const second = await engine.berth("run", "-d", "--replace", "--name", "web", "-p", `${port}:80`, ...sleeping);
  expect(second).toMatchObject({ code: 0, stderr: "" });
  expect(await idOf("web")).toBe(second.stdout.trim());
  expect(second.stdout).not.toBe(first);
  expect(await names()).toEqual(["web"]);
});

test("a creation that fails leaves the old one running", async () => {
  const before = await idOf("web");
  const bad = await engine.berth("run", "-d", "--replace", "--name", "web", "--cpus", "100000", ...sleeping);
  expect(bad.code).toBe(125);
  const missing = await engine.berth("run", "-d", "--replace", "--pull", "never", "--name", "web", "nosuch:image");
  expect(missing.code).toBe(125);
  expect(await idOf("web")).toBe(before);
  expect(await engine.ok("inspect", "-f", "{{.State.Status}}", "web")).toBe("running");
  expect(await names()).toEqual(["web"]);
});

test("a start that fails says what is gone", async () => {
  const before = await idOf("web");
  const failed = await engine.berth("run", "-d", "--replace", "--name", "web", "busybox", "nosuch-program");
  expect(failed.code).toBe(127);
  expect(failed.stderr).toContain(`The container that was called web before (${before.slice(0, 12)}) is gone.`);
  expect(await idOf("web")).not.toBe(before);
});

test("create --replace, of one that is paused; by an exact name only; with what the old one had", async () => {
  const flags = ["--replace", "--name", "web"];
  await engine.berth("run", "-d", ...flags, "-v", "/kept", "busybox", "sh", "-c", "echo data >/kept/file; sleep 1000");
  await engine.ok("pause", "web");
  const made = await engine.berth("create", ...flags, "--volumes-from", "web", "busybox", "cat", "/kept/file");
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(await names()).toEqual(["web"]);
  expect(await engine.ok("start", "-a", "web")).toBe("data");
  const id = await idOf("web");
  const other = await engine.berth("create", "--replace", "--name", id.slice(0, 12), "busybox", "true");
  expect(other).toMatchObject({ code: 0 });
  expect(await names()).toHaveLength(2);
});

test("is refused without a name", async () => {
  for (const word of ["run", "create"]) {
    const refused = await engine.berth(word, "--replace", ...sleeping);
    expect(refused.code).toBe(125);
    expect(refused.stderr).toContain("--replace needs the --name");
  }
});

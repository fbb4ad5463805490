import { afterAll, beforeAll, expect, test } from "bun:test";
import { nanos } from "../clock.ts";
import { script } from "../testing/bodies.ts";
import { type Engine, startEngine, until } from "../testing/engine.ts";
import { allLogs, logText, make, makeAndStart, never, run } from "../testing/run.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.dispose());

test("all of it, one stream, the last lines", async () => {
  const { id } = await run(
    engine,
    script("echo err >&2; sleep 0.05; for i in 1 2 3 4; do echo $i; done; printf 'no end'"),
  );
  expect(await logText(engine, id, { stderr: false })).toBe("1\n2\n3\n4\nno end");
  expect(await logText(engine, id, { stdout: false })).toBe("err\n");
  expect(await logText(engine, id, { tail: 1 })).toBe("no end");
  expect(await logText(engine, id, { tail: 0 })).toBe("");
  expect(await logText(engine, id, { tail: 100 })).toHaveLength("1\n2\n3\n4\nerr\nno end".length);
});

test("times: RFC 3339 in UTC, and what was since or until one of them", async () => {
  const { id } = await run(engine, script("echo first; sleep 0.05; echo second"));
  const lines = (await logText(engine, id, { timestamps: true })).trimEnd().split("\n");
  expect(lines.map((line) => line.split(" ")[1])).toEqual(["first", "second"]);
  const [one, two] = lines.map((line) => line.split(" ")[0] ?? "");
  expect(one).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  expect(await logText(engine, id, { since: nanos(two ?? "") ?? 0n })).toBe("second\n");
  expect(await logText(engine, id, { until: nanos(one ?? "") ?? 0n })).toBe("first\n");
});

test("a line of a megabyte stays one line", async () => {
  const { id } = await run(engine, script("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo after"));
  const text = await logText(engine, id, { timestamps: true });
  const [long = "", short = ""] = text.split("\n");
  expect(long).toHaveLength(1_000_000 + 31);
  expect(short).toEndWith(" after");
  expect(await logText(engine, id, { tail: 2 })).toHaveLength(1_000_000 + 1 + 6);
  expect(await logText(engine, id, { tail: 1 })).toBe("after\n");
});

test("follow: what is there, what comes, and the end with the container", async () => {
  const id = await makeAndStart(engine, script("echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two"));
  const { bytes } = await engine.containers.logs(id, { ...allLogs, follow: true });
  const seen: string[] = [];
  const reading = (async () => {
    for await (const chunk of bytes) seen.push(Buffer.from(chunk.subarray(8)).toString());
  })();
  await until(() => seen.join("") === "one\n", "the first line");
  const { Id } = await engine.containers.createExec(id, {
    ...{ AttachStdin: false, AttachStdout: false, AttachStderr: false, Tty: false, Env: null, Privileged: false },
    ...{ User: "", WorkingDir: "", Cmd: ["touch", "/tmp/go"] },
  });
  await engine.containers.startExec(Id, { Detach: true, Tty: false });
  await reading;
  expect(seen.join("")).toBe("one\ntwo\n");
});

test("follow ends when the client leaves", async () => {
  const id = await makeAndStart(engine, script("echo one; sleep 1000"));
  const left = new AbortController();
  const { bytes } = await engine.containers.logs(id, { ...allLogs, follow: true, signal: left.signal });
  for await (const chunk of bytes) {
    expect(Buffer.from(chunk).toString()).toContain("one");
    left.abort();
  }
  await engine.containers.remove(id, { force: true, volumes: false, link: false });
});

test("no stream, no log, never started", async () => {
  const id = await make(engine, {});
  await expect(engine.containers.logs(id, { ...allLogs, stdout: false, stderr: false })).rejects.toThrow(
    "you must choose at least one stream",
  );
  expect(await logText(engine, id, { follow: true })).toBe("");
  const silent = await make(engine, {}, { LogConfig: { Type: "none", Config: {} } });
  await expect(engine.containers.logs(silent, allLogs)).rejects.toThrow("does not support reading");
  await expect(engine.containers.wait("none", "removed", never)).rejects.toThrow("No such container: none");
});

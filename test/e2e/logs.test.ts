import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { berth, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { patience, until } from "../support/until.ts";

let engine: Engine;
let id: string;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  id = await engine.ok(
    "run",
    "-d",
    "--name",
    "talker",
    "busybox",
    "sh",
    "-c",
    "seq 10; echo err >&2; sleep 1.1; echo last",
  );
  await engine.ok("wait", id);
});
afterAll(() => engine[Symbol.asyncDispose]());

test("nothing that a container writes is older than its start", async () => {
  for (let i = 0; i < 10; i++) {
    const name = `first-words-${i}`;
    await engine.ok("run", "-d", "--name", name, "busybox", "echo", "line");
    await engine.ok("wait", name);
    const since = await engine.ok("inspect", "-f", "{{.State.StartedAt}}", name);
    expect((await engine.docker("logs", "--since", since.trim(), name)).stdout).toBe("line\n");
  }
});

describe.each(["docker", "berth"] as const)("%s logs", (which) => {
  const logs = (...argv: string[]) => cli(which, engine.host, ["logs", ...argv]);

  test("gives both streams, apart", async () => {
    const { stdout, stderr, code } = await logs("talker");
    expect(stdout).toBe("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\nlast\n");
    expect(stderr).toBe("err\n");
    expect(code).toBe(0);
  });

  test("--tail", async () => {
    expect((await logs("--tail", "1", "talker")).stdout).toBe("last\n");
    expect((await logs("-n", "3", "talker")).stdout).toBe("10\nlast\n");
    expect((await logs("--tail", "0", "talker")).stdout).toBe("");
    expect((await logs("--tail", "all", "talker")).stdout.split("\n")).toHaveLength(12);
    expect((await logs("--tail", "1000", "talker")).stdout.split("\n")).toHaveLength(12);
  });

  test("--timestamps, --since and --until", async () => {
    const { stdout } = await logs("-t", "talker");
    const lines = stdout.trim().split("\n");
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z \w+$/);
    const last = lines.at(-1)?.split(" ")[0] ?? "";
    expect((await logs("--since", last, "talker")).stdout).toBe("last\n");
    expect((await logs("--until", lines[9]?.split(" ")[0] ?? "", "talker")).stdout).toBe(
      "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n",
    );
    expect((await logs("--since", "1h", "talker")).stdout.split("\n")).toHaveLength(12);
  });

  test("-f goes on until the container ends, and misses nothing", async () => {
    const name = `counter-${which}`;
    await engine.ok(
      "run",
      "-d",
      "--name",
      name,
      "busybox",
      "sh",
      "-c",
      "for i in $(seq 300); do echo $i; usleep 2000; done",
    );
    const { stdout, code } = await logs("-f", name);
    expect(code).toBe(0);
    expect(stdout).toBe(Array.from({ length: 300 }, (_, index) => `${index + 1}\n`).join(""));
  });

  test("-f --tail starts at the end", async () => {
    const name = `tail-${which}`;
    await engine.ok("run", "-di", "--name", name, "busybox", "sh", "-c", "seq 100; read x; echo $x");
    await until("it has written", async () => (await engine.ok("logs", name)).endsWith("100"));
    const child = Bun.spawn([which === "berth" ? berth : "docker", "logs", "-f", "--tail", "1", name], {
      env: cliEnv(engine.host),
      stdout: "pipe",
      timeout: 30_000 * patience,
    });
    let text = "";
    for await (const chunk of child.stdout) {
      text += Buffer.from(chunk).toString();
      if (text === "100\n") await cli(which, engine.host, ["attach", name], { stdin: "more\n" });
    }
    expect(text).toBe("100\nmore\n");
    expect(await child.exited).toBe(0);
  });

  test("an unknown container is named", async () => {
    expect((await logs("nobody")).stderr).toContain("No such container: nobody");
  });
});

test("a line of a megabyte, one without an end, and bytes that are no text come out as they went in", async () => {
  const script = "head -c 1048576 /dev/zero | tr '\\0' x; echo; printf '\\377\\376\\000|'; printf 'no end'";
  const long = await engine.ok("run", "-d", "busybox", "sh", "-c", script);
  await engine.ok("wait", long);
  const child = Bun.spawn(["docker", "logs", long], { env: cliEnv(engine.host), stdout: "pipe" });
  const bytes = Buffer.from(await new Response(child.stdout).arrayBuffer());
  expect(bytes.length).toBe(1048576 + 1 + 4 + 6);
  expect(bytes.subarray(0, 1048576).every((byte) => byte === 120)).toBe(true);
  expect(bytes.subarray(1048576)).toEqual(Buffer.from("\n\xff\xfe\x00|no end", "latin1"));
});

test("a terminal's output is one raw stream", async () => {
  const tty = await engine.ok("run", "-dt", "busybox", "sh", "-c", "echo out; echo err >&2");
  await engine.ok("wait", tty);
  const answer = await call(engine, `GET /containers/${tty}/logs?stdout=1&stderr=1`);
  expect(answer.text).toBe("out\r\nerr\r\n");
  expect(answer.headers.get("content-type")).toBe("application/vnd.docker.raw-stream");
});

test("one that asks for neither stream is refused", async () => {
  expect(await call(engine, `GET /containers/${id}/logs`)).toMatchObject({
    status: 400,
    json: { message: "Bad parameters: you must choose at least one stream" },
  });
});

test("the log of a container that started twice is one log", async () => {
  const twice = await engine.ok("run", "-d", "busybox", "echo", "again");
  await engine.ok("wait", twice);
  await engine.ok("start", twice);
  await engine.ok("wait", twice);
  expect(await engine.ok("logs", twice)).toBe("again\nagain");
});

test("ten thousand lines written at once are all there", async () => {
  const many = await engine.ok("run", "-d", "busybox", "seq", "10000");
  await engine.ok("wait", many);
  expect((await engine.ok("logs", many)).split("\n")).toEqual(
    Array.from({ length: 10000 }, (_, index) => `${index + 1}`),
  );
});

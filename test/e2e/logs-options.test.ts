import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine(["--log-driver", "local", "--log-opt", "max-size=1m", "--log-opt", "max-file=2"]);
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

test("the daemon's driver and options are everybody's who names none", async () => {
  const format = ["-f", "{{json .HostConfig.LogConfig}}"];
  const made = async (...flags: string[]) => {
    const id = await engine.ok("create", ...flags, "busybox", "true");
    return JSON.parse(await engine.ok("inspect", ...format, id));
  };
  expect(await made()).toEqual({ Type: "local", Config: { "max-size": "1m", "max-file": "2" } });
  const own = await made("--log-driver", "local", "--log-opt", "max-size=2m");
  expect(own).toEqual({ Type: "local", Config: { "max-size": "2m", "max-file": "2" } });
  expect(await made("--log-driver", "json-file")).toEqual({ Type: "json-file", Config: {} });
  expect(await made("--log-driver", "none")).toEqual({ Type: "none", Config: {} });
  const info = await engine.ok("info", "-f", "{{.LoggingDriver}} {{json .Plugins.Log}}");
  expect(info).toStartWith("local ");
  const journal = existsSync("/run/systemd/journal/socket") && Bun.which("journalctl") ? ["journald"] : [];
  expect(JSON.parse(info.slice("local ".length))).toEqual([...journal, "json-file", "local"]);
});

test("the configuration file, and what it refuses", async () => {
  const config = `${engine.directory}/daemon.json`;
  await engine.stop();
  const start = () =>
    cli("berth", engine.host, [
      "daemon",
      "--config-file",
      config,
      "--data-root",
      `${engine.directory}/other`,
      "--exec-root",
      `${engine.directory}/other-exec`,
    ]);
  for (const [file, message] of [
    [{ "log-opts": { "max-size": "1m", x: "y" } }, "unknown log opt 'x' for json-file log driver"],
    [{ "log-driver": "gelf" }, 'error looking up logging plugin gelf: plugin "gelf" not found'],
    [{ "log-opts": ["max-size=1m"] }, "log-opts must be an object of strings"],
    [{ "log-opts": { "max-file": 3 } }, "log-opts must be an object of strings"],
  ] as const) {
    writeFileSync(config, JSON.stringify(file));
    const { code, stderr } = await start();
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  }
  writeFileSync(config, JSON.stringify({ "log-opts": { "max-file": "7", compress: "false" } }));
  await engine.start();
  const id = await engine.ok("create", "busybox", "true");
  // Flags go over the file, option by option.
  expect(JSON.parse(await engine.ok("inspect", "-f", "{{json .HostConfig.LogConfig.Config}}", id))).toEqual({
    "max-size": "1m",
    "max-file": "2",
    compress: "false",
  });
});

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const run = (...argv: string[]) => cli(which, engine.host, argv);

  test.each([
    [["--log-driver", "fluentd"], 'error looking up logging plugin fluentd: plugin "fluentd" not found'],
    [["--log-driver", "json-file", "--log-opt", "nope=1"], "unknown log opt 'nope' for json-file log driver"],
    [["--log-driver", "local", "--log-opt", "tag=x"], "unknown log opt 'tag' for log driver local"],
    [["--log-driver", "json-file", "--log-opt", "max-size=x"], "invalid size: 'x'"],
    [["--log-opt", "mode=non-blocking"], "'mode=non-blocking' is not implemented"],
    [["--log-driver", "none", "--log-opt", "max-size=1m"], "invalid logging opts for driver none"],
  ])("create %p is refused", async (flags, message) => {
    const { code, stderr } = await run("create", ...flags, "busybox", "true");
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
  });

  test("--details shows what the options name", async () => {
    const flags = [
      "--log-driver",
      "json-file",
      "--log-opt",
      "labels=a",
      "--log-opt",
      "env=X",
      "--log-opt",
      "tag={{.Name}}",
    ];
    const name = `detailed-${which}`;
    const made = await run(
      "run",
      "--name",
      name,
      ...flags,
      "--label",
      "a=1 2",
      "--label",
      "b=3",
      "-e",
      "X=é",
      "busybox",
      "echo",
      "hello",
    );
    expect(made.code).toBe(0);
    expect((await run("logs", "--details", name)).stdout).toBe(`X=%C3%A9,a=1+2,tag=${name} hello\n`);
    expect((await run("logs", "--details", "-t", name)).stdout).toMatch(/^\d{4}-\S+Z X=%C3%A9,a=1\+2,tag=\S+ hello\n$/);
    expect((await run("logs", name)).stdout).toBe("hello\n");
  });

  test("what cannot be read says why", async () => {
    const id = await engine.ok("run", "-d", "--log-driver", "none", "busybox", "true");
    expect(await run("logs", id)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("configured logging driver does not support reading"),
    });
    const created = await engine.ok("create", "busybox", "true");
    expect(await run("logs", "-f", created)).toMatchObject({ code: 0, stdout: "" });
    expect((await run("logs", "--since", "10xx", created)).code).not.toBe(0);
  });

  test("-f ends when a restart policy starts the container again, and when it is removed", async () => {
    const again = await engine.ok(
      "run",
      "-d",
      "--restart",
      "on-failure:1",
      "busybox",
      "sh",
      "-c",
      "echo once; sleep 0.5; exit 1",
    );
    expect(await run("logs", "-f", again)).toMatchObject({ code: 0, stdout: "once\n" });
    await until(
      "it is over",
      async () => (await engine.ok("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", again)) === "1 exited",
    );
    expect((await run("logs", again)).stdout).toBe("once\nonce\n");
    const removed = await engine.ok("run", "-d", "busybox", "sh", "-c", "echo here; sleep 1000");
    const following = run("logs", "-f", removed);
    await until("it is written", async () => (await engine.ok("logs", removed)) === "here");
    await engine.ok("rm", "-f", removed);
    expect(await following).toMatchObject({ code: 0, stdout: "here\n" });
  });
});

test("attach with logs gives what was written before, from packed segments too", async () => {
  const script = "seq 30000; sleep 1000";
  const kept = ["--log-opt", "max-size=100k", "--log-opt", "max-file=90", "--log-opt", "compress=true"];
  const id = await engine.ok("run", "-dt", ...kept, "busybox", "sh", "-c", script);
  await until("it has written all", async () => (await engine.ok("logs", "--tail", "1", id)) === "30000");
  await until("it is rotated and packed", () => packed(id));
  const numbers = Array.from({ length: 30_000 }, (_, at) => `${at + 1}\r\n`).join("");
  const answer = await call(engine, `POST /containers/${id}/attach?logs=1&stdout=1`);
  expect(answer.text === numbers).toBe(true);
});

async function packed(id: string): Promise<boolean> {
  return existsSync(`${await engine.ok("inspect", "-f", "{{.LogPath}}", id)}.1.zst`);
}

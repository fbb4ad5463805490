import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { berth, cli, expectOk, rootFlags } from "../support/engine.ts";
import { busyboxRootfs } from "../support/images.ts";
import { until } from "../support/until.ts";

/** A journal of this test's own: journald and the daemon in a mount namespace where /run is empty. */
const script = `
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald & journald=$!
until [ -S /run/systemd/journal/socket ]; do sleep 0.05; done
"$@"
kill $journald; wait $journald`;

const journald = Bun.file("/lib/systemd/systemd-journald").size > 0 && Bun.which("journalctl") !== null;
const directory = mkdtempSync(join(tmpdir(), "berth-journald-"));
const host = `unix://${directory}/berth.sock`;
let namespace: Bun.Subprocess | undefined;
const ok = async (...argv: string[]) => expectOk(argv, await cli("docker", host, argv));

beforeAll(async () => {
  if (!journald) return;
  const daemon = [berth, "daemon", "--host", host, ...rootFlags(directory)];
  namespace = Bun.spawn(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", ...daemon], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until("the daemon answers", async () => (await cli("docker", host, ["version"])).code === 0);
  expectOk(["import"], await cli("docker", host, ["import", "-", "busybox"], { stdin: busyboxRootfs() }));
});

afterAll(async () => {
  if (namespace) {
    await cli("docker", host, ["rm", "-f", "talker", "writer"]);
    process.kill(Number(readFileSync(`${directory}/pid`, "utf8")), "SIGTERM");
    await namespace.exited;
  }
  rmSync(directory, { recursive: true, force: true });
});

const there = test.skipIf(!journald);

there(
  "both streams, bytes, times, the last lines and details, by both command lines",
  async () => {
    const tag = ["--log-opt", "tag={{.Name}}-tag"];
    const said = "echo out; echo err >&2; printf '\\377|'; sleep 1.1; echo end; echo last";
    await ok("run", "-d", "--name", "talker", "--log-driver", "journald", ...tag, "busybox", "sh", "-c", said);
    await ok("wait", "talker");
    for (const which of ["docker", "berth"] as const) {
      const logs = (...argv: string[]) => cli(which, host, ["logs", ...argv, "talker"]);
      await until("the journal has it", async () => (await logs()).stdout.endsWith("last\n"));
      expect(await logs()).toMatchObject({ stdout: "out\n\ufffd|end\nlast\n", stderr: "err\n" });
      expect((await logs("-n", "1", "--details")).stdout).toBe("tag=talker-tag last\n");
      const [first = ""] = (await logs("-t", "-n", "1")).stdout.split(" ");
      expect(first).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}000Z$/);
      expect((await logs("--since", first)).stdout).toBe("last\n");
      expect((await logs("--until", "2020-01-01")).stdout).toBe("");
    }
    expect(await ok("inspect", "-f", "{{.HostConfig.LogConfig.Type}}|{{.LogPath}}", "talker")).toBe("journald|");
    expect(await ok("info", "-f", "{{json .Plugins.Log}}")).toBe('["journald","json-file","local"]');
  },
  60_000,
);

there(
  "following gives everything, also what the journal takes in late",
  async () => {
    const said = "i=0; while [ $i -lt 500 ]; do i=$((i + 1)); echo line $i; done";
    await ok("run", "-d", "--name", "writer", "--log-driver", "journald", "busybox", "sh", "-c", `sleep 1; ${said}`);
    const { stdout, code } = await cli("docker", host, ["logs", "-f", "writer"]);
    expect(code).toBe(0);
    expect(stdout).toBe(Array.from({ length: 500 }, (_, at) => `line ${at + 1}\n`).join(""));
  },
  60_000,
);

there("what conmon does not write into the journal is refused", async () => {
  const refused = await cli("docker", host, [
    "create",
    "--log-driver",
    "journald",
    "--log-opt",
    "env=A",
    "busybox",
    "true",
  ]);
  expect(refused.stderr).toContain("log opt 'env' is not implemented for journald log driver");
});

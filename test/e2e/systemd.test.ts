import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { berth, cli, expectOk, rootFlags } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

const systemd = existsSync("/run/systemd/system");
const shipped = readFileSync(new URL("../../docs/berth.service", import.meta.url), "utf8");

test.skipIf(!systemd)("as the unit of docs/ runs it, containers outlive stop and restart of the daemon", async () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-systemd-"));
  const name = basename(directory);
  const file = `/run/systemd/system/${name}.service`;
  const host = `unix://${directory}/berth.sock`;
  const ok = async (...argv: string[]) => expectOk(argv, await cli("docker", host, argv));
  const systemctl = async (...argv: string[]) => {
    const child = Bun.spawn(["systemctl", ...argv], { stdio: ["ignore", "ignore", "pipe"] });
    const said = await new Response(child.stderr).text();
    expect([await child.exited, said]).toEqual([0, expect.any(String)]);
  };
  const answers = () => until("the daemon answers", async () => (await cli("docker", host, ["info"])).code === 0);
  const argv = [berth, "daemon", "--host", host, ...rootFlags(directory)].join(" ");
  writeFileSync(file, shipped.replace(/^ExecStart=.*$/m, `ExecStart=${argv}`));
  try {
    await systemctl("daemon-reload");
    await systemctl("start", name);
    await answers();
    await importBusybox({ host });
    await ok("run", "-d", "--name", "stays", "busybox", "sh", "-c", "echo here; sleep 10000");
    const pid = await ok("inspect", "-f", "{{.State.Pid}}", "stays");
    await systemctl("stop", name);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    await systemctl("start", name);
    await answers();
    expect(await ok("inspect", "-f", "{{.State.Status}} {{.State.Pid}}", "stays")).toBe(`running ${pid}`);
    expect(await ok("exec", "stays", "echo", "still")).toBe("still");
    expect(await ok("logs", "stays")).toBe("here");
    await ok("rm", "-f", "stays");
  } finally {
    await systemctl("stop", name);
    rmSync(file);
    await systemctl("daemon-reload");
    rmSync(directory, { recursive: true, force: true });
  }
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const forever = ["busybox", "sh", "-c", "trap 'exit 33' TERM; echo ready; while :; do sleep 0.05; done"];

/** A container whose signal handler is set. */
async function started(...flags: string[]): Promise<string> {
  const id = await engine.ok("run", "-d", ...flags, ...forever);
  await until("it is ready", async () => (await engine.ok("logs", id)).includes("ready"));
  return id;
}

const state = async (id: string) => (await call(engine, `GET /containers/${id}/json`)).json.State;

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const one = (...argv: string[]) => cli(which, engine.host, argv);

  test("create, start, stop, start again, rm", async () => {
    const id = (await one("create", "--name", `life-${which}`, ...forever)).stdout.trim();
    expect(await state(id)).toMatchObject({ Status: "created", Running: false, Pid: 0, ExitCode: 0 });
    expect(await one("start", id)).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect(await state(id)).toMatchObject({ Status: "running", Running: true, ExitCode: 0 });
    await until("it is ready", async () => (await engine.ok("logs", id)).includes("ready"));
    expect(await one("stop", id)).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect(await state(id)).toMatchObject({ Status: "exited", Running: false, Pid: 0, ExitCode: 33 });
    await one("start", id);
    expect((await state(id)).Running).toBe(true);
    expect((await one("rm", id)).stderr).toMatch(
      /cannot remove container .*container is running.*stop the container before removing or force remove/,
    );
    expect(await one("rm", "-f", id)).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect((await one("start", id)).stderr).toContain(`No such container: ${id}`);
  });

  test("stop waits as long as it is told, then kills", async () => {
    const id = await engine.ok("run", "-d", "busybox", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done");
    await one("stop", "-t", "0", id);
    expect(await state(id)).toMatchObject({ Status: "exited", ExitCode: 137 });
    await engine.ok("rm", id);
  });

  test("stop sends the container's own signal", async () => {
    const script = "trap 'exit 44' USR1; echo ready; while :; do sleep 0.05; done";
    const id = await engine.ok("run", "-d", "--stop-signal", "SIGUSR1", "busybox", "sh", "-c", script);
    await until("it is ready", async () => (await engine.ok("logs", id)).includes("ready"));
    await one("stop", id);
    expect((await state(id)).ExitCode).toBe(44);
    await engine.ok("rm", id);
  });

  test("kill sends KILL, or the signal it is told by name or number", async () => {
    const id = await started();
    expect(await one("kill", "-s", "TERM", id)).toMatchObject({ code: 0 });
    expect(await engine.ok("wait", id)).toBe("33");
    expect((await one("kill", id)).stderr).toMatch(/is not running/);
    await engine.ok("start", id);
    expect(await one("kill", "--signal", "9", id)).toMatchObject({ code: 0 });
    expect(await engine.ok("wait", id)).toBe("137");
    expect((await one("kill", "-s", "NOSUCH", id)).code).not.toBe(0);
    await engine.ok("rm", id);
  });

  test("restart keeps the container and starts a new process", async () => {
    const id = await started();
    const before = await state(id);
    expect(await one("restart", id)).toMatchObject({ code: 0, stdout: `${id}\n` });
    const after = await state(id);
    expect(after.Running).toBe(true);
    expect(after.Pid).not.toBe(before.Pid);
    await engine.ok("rm", "-f", id);
  });

  test("pause freezes and unpause thaws", async () => {
    const id = await started();
    await one("pause", id);
    expect(await state(id)).toMatchObject({ Status: "paused", Paused: true, Running: true });
    expect((await one("pause", id)).stderr).toMatch(/is already paused/);
    expect((await one("ps", "--filter", "status=paused", "-q")).stdout.trim()).toBe(id.slice(0, 12));
    await one("unpause", id);
    expect(await state(id)).toMatchObject({ Status: "running", Paused: false });
    expect((await one("unpause", id)).stderr).toMatch(/is not paused/);
    await one("pause", id);
    expect(await one("rm", "-f", id)).toMatchObject({ code: 0 });
  });

  test("rename", async () => {
    const id = await engine.ok("create", "--name", `old-${which}`, "busybox");
    expect(await one("rename", `old-${which}`, `new-${which}`)).toMatchObject({ code: 0 });
    expect(await engine.ok("inspect", "-f", "{{.Name}}", id)).toBe(`/new-${which}`);
    expect((await one("rename", `old-${which}`, "x1")).stderr).toContain(`No such container: old-${which}`);
    expect((await one("rename", id, `new-${which}`)).stderr).toMatch(/same name|already in use/i);
    expect((await one("rename", id, "no/good")).stderr).toContain("Invalid container name (/no/good)");
    const other = await engine.ok("create", "--name", `other-${which}`, "busybox");
    expect((await one("rename", id, `other-${which}`)).stderr).toMatch(/Conflict.*is already in use by container/);
    await engine.ok("rm", id, other);
  });

  test("wait gives the exit codes, also of those that have ended", async () => {
    const [first, second] = [
      await engine.ok("run", "-d", "busybox", "sh", "-c", "sleep 0.2; exit 3"),
      await engine.ok("run", "-d", "busybox", "sh", "-c", "exit 4"),
    ];
    expect((await one("wait", first, second)).stdout).toBe("3\n4\n");
    expect((await one("wait", first)).stdout).toBe("3\n");
    await engine.ok("rm", first, second);
  });

  test("ps shows what runs, and with filters what is asked for", async () => {
    const running = await started("--name", `run-${which}`, "--label", `for=${which}`);
    const ended = await engine.ok(
      "run",
      "-d",
      "--name",
      `end-${which}`,
      "--label",
      `for=${which}`,
      "busybox",
      "sh",
      "-c",
      "exit 5",
    );
    await engine.ok("wait", ended);
    const names = async (...argv: string[]) =>
      (await one("ps", "--format", "{{.Names}}", ...argv)).stdout.trim().split("\n");
    const label = ["--filter", `label=for=${which}`];
    expect(await names(...label)).toEqual([`run-${which}`]);
    expect(await names("-a", ...label)).toEqual([`end-${which}`, `run-${which}`]);
    expect(await names("-a", ...label, "--filter", "exited=5")).toEqual([`end-${which}`]);
    expect(await names("-a", ...label, "--filter", "status=exited")).toEqual([`end-${which}`]);
    expect(await names("-a", "--filter", `name=^/?run-${which}$`)).toEqual([`run-${which}`]);
    expect(await names("-a", ...label, "--filter", `id=${ended.slice(0, 20)}`)).toEqual([`end-${which}`]);
    expect(await names("-a", ...label, "--filter", `before=end-${which}`)).toEqual([`run-${which}`]);
    expect(await names("-a", ...label, "--filter", `since=run-${which}`)).toEqual([`end-${which}`]);
    expect(await names("-a", ...label, "--filter", "ancestor=busybox")).toEqual([`end-${which}`, `run-${which}`]);
    expect(await names("-n", "1")).toEqual([`end-${which}`]);
    expect((await one("ps", "-a", "--filter", "nonsense=1")).stderr).toContain("invalid filter 'nonsense'");
    const { stdout } = await one("ps", "-a", "--no-trunc", ...label);
    expect(stdout).toMatch(new RegExp(`${running}.*Up .*run-${which}`));
    expect(stdout).toMatch(/Exited \(5\) .*ago/);
    await engine.ok("rm", "-f", running, ended);
  });

  test("diff says what changed", async () => {
    const id = await engine.ok(
      "run",
      "-d",
      "busybox",
      "sh",
      "-c",
      "echo x > /root/new; rm /etc/group; chmod 600 /etc/passwd",
    );
    await engine.ok("wait", id);
    expect((await one("diff", id)).stdout.trim().split("\n").sort()).toEqual([
      "A /root/new",
      "C /etc",
      "C /etc/passwd",
      "C /root",
      "D /etc/group",
    ]);
    await engine.ok("rm", id);
  });

  test("commit makes an image of it", async () => {
    const id = await engine.ok("run", "-d", "busybox", "sh", "-c", "echo kept > /kept");
    await engine.ok("wait", id);
    const { stdout, code } = await one(
      "commit",
      "-m",
      "why",
      "-a",
      "me",
      "--change",
      'CMD ["cat","/kept"]',
      id,
      `made-${which}`,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(await engine.ok("run", "--rm", `made-${which}`)).toBe("kept");
    expect(await engine.ok("history", "--format", "{{.Comment}}", `made-${which}`)).toStartWith("why");
    await engine.ok("rm", id);
    await engine.ok("rmi", `made-${which}`);
  });

  test("export writes the whole file system", async () => {
    const id = await engine.ok("run", "-d", "busybox", "sh", "-c", "echo kept > /kept");
    await engine.ok("wait", id);
    const path = `${engine.directory}/export-${which}.tar`;
    expect((await one("export", "-o", path, id)).code).toBe(0);
    const names = Bun.spawnSync(["tar", "-tf", path]).stdout.toString().split("\n");
    expect(names).toContain("kept");
    expect(names).toContain("bin/busybox");
    await engine.ok("rm", id);
  });

  test("top shows the processes", async () => {
    const id = await started();
    const { stdout } = await one("top", id);
    expect(stdout.split("\n")[0]).toMatch(/UID\s+PID\s+PPID/);
    expect(stdout).toContain("trap 'exit 33' TERM");
    await engine.ok("rm", "-f", id);
    expect((await one("top", id)).stderr).toContain("No such container");
  });

  test("container prune removes what has ended", async () => {
    const running = await started("--label", `prune=${which}`);
    const ended = await engine.ok("run", "-d", "--label", `prune=${which}`, "busybox", "true");
    await engine.ok("wait", ended);
    const { stdout } = await one("container", "prune", "-f", "--filter", `label=prune=${which}`);
    expect(stdout).toContain(ended);
    expect(stdout).toMatch(/Total reclaimed space: /);
    expect(await engine.ok("ps", "-aq", "--no-trunc", "--filter", `label=prune=${which}`)).toBe(running);
    await engine.ok("rm", "-f", running);
  });
});

test("a name is free again once its container is gone, and refused before", async () => {
  const id = await engine.ok("create", "--name", "taken", "busybox");
  const { code, stderr } = await engine.docker("run", "--name", "taken", "busybox", "true");
  expect(code).toBe(125);
  expect(stderr).toContain(
    `Conflict. The container name "/taken" is already in use by container "${id}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
  await engine.ok("rm", "taken");
  expect(await engine.ok("run", "--rm", "--name", "taken", "busybox", "echo", "mine")).toBe("mine");
});

test("an id's prefix is enough while it means one container", async () => {
  const id = await engine.ok("create", "busybox");
  expect(await engine.ok("inspect", "-f", "{{.Id}}", id.slice(0, 8))).toBe(id);
  await engine.ok("rm", id.slice(0, 12));
});

test("restart policies: on-failure counts, always goes on, unless-stopped and a stop end it", async () => {
  const failing = await engine.ok("run", "-d", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo try; exit 1");
  await until("it has given up", async () => {
    const { Status, Restarting } = await state(failing);
    return (
      Status === "exited" && !Restarting && (await engine.ok("inspect", "-f", "{{.RestartCount}}", failing)) === "2"
    );
  });
  expect(await engine.ok("logs", failing)).toBe("try\ntry\ntry");
  const good = await engine.ok("run", "-d", "--restart", "on-failure", "busybox", "true");
  await engine.ok("wait", good);
  expect((await state(good)).Status).toBe("exited");
  const always = await engine.ok("run", "-d", "--restart", "always", "busybox", "sh", "-c", "echo again; exit 0");
  await until("it has been restarted", async () => (await engine.ok("logs", always)).split("\n").length >= 3);
  await engine.ok("stop", "-t", "0", always);
  expect(await state(always)).toMatchObject({ Running: false, Restarting: false });
  const count = await engine.ok("inspect", "-f", "{{.RestartCount}}", always);
  expect((await state(always)).Status).toBe("exited");
  expect(await engine.ok("inspect", "-f", "{{.RestartCount}}", always)).toBe(count);
  await engine.ok("rm", "-f", failing, good, always);
});

test("--rm and --restart exclude each other", async () => {
  const { status, json } = await call(engine, "POST /containers/create", {
    Image: "busybox",
    HostConfig: { AutoRemove: true, RestartPolicy: { Name: "always" } },
  });
  expect([status, json.message]).toEqual([400, "can't create 'AutoRemove' container with restart policy"]);
});

test("a daemon that starts again keeps to the restart policies", async () => {
  const always = await started("--restart", "always");
  const plain = await started();
  const stopped = await started("--restart", "unless-stopped");
  const stoppedAlways = await started("--restart", "always");
  await engine.ok("stop", "-t", "0", stopped, stoppedAlways);
  await engine.stop();
  for (const id of [always, plain])
    process.kill(Number(await Bun.file(`${engine.directory}/exec/bundles/${id}/pidfile`).text()), "SIGKILL");
  await engine.start();
  await until("it runs again", async () => (await state(always)).Running);
  expect(await state(plain)).toMatchObject({ Status: "exited", ExitCode: 137 });
  expect((await state(stopped)).Running).toBe(false);
  await until("one that was stopped by hand runs again, too", async () => (await state(stoppedAlways)).Running);
  await engine.ok("rm", "-f", always, plain, stopped, stoppedAlways);
});

test("starting what runs and stopping what does not changes nothing", async () => {
  const id = await started();
  expect((await call(engine, `POST /containers/${id}/start`)).status).toBe(304);
  await engine.ok("stop", id);
  expect((await call(engine, `POST /containers/${id}/stop`)).status).toBe(304);
  await engine.ok("rm", id);
});

import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { berth, cli, rootFlags, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { patience, until } from "../support/until.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-e2e-daemon-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Ended {
  readonly code: number;
  readonly stderr: string;
}

/** Runs a daemon that is expected to refuse. */
async function refusal(flags: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const argv = [berth, "daemon", "--host", `unix://${directory}/s`, ...rootFlags(directory), ...flags];
  const child = Bun.spawn(argv, {
    stdout: "ignore",
    stderr: "pipe",
    timeout: 30_000 * patience,
    env: { ...process.env, ...env },
  });
  const stderr = await new Response(child.stderr).text();
  return { code: await child.exited, stderr };
}

test("SIGTERM and SIGINT end it cleanly and leave the containers running", async () => {
  await using engine = await startEngine();
  await importBusybox(engine);
  const id = await engine.ok("run", "-d", "busybox", "sh", "-c", "while :; do echo on; sleep 0.05; done");
  const pid = Number(await engine.ok("inspect", "-f", "{{.State.Pid}}", id));
  const following = engine.docker("logs", "-f", id);
  await until("it writes", async () => (await engine.ok("logs", id)).includes("on"));
  expect(await engine.stop()).toBe(0);
  await following;
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  expect(existsSync(`${engine.directory}/berth.sock`)).toBe(false);
  expect(existsSync(`${engine.directory}/pid`)).toBe(false);
  expect(await engine.log()).toMatch(/level=info msg="Daemon stops; containers go on running" signal=SIGTERM/);
  await engine.start();
  expect(Number(await engine.ok("inspect", "-f", "{{.State.Pid}}", id))).toBe(pid);
  const daemon = engine.pid;
  process.kill(daemon, "SIGINT");
  await until("it has ended", () => !existsSync(`/proc/${daemon}`)); // its pid file goes a little earlier
  expect(existsSync(`${engine.directory}/pid`)).toBe(false);
  expect(existsSync(`/proc/${pid}`)).toBe(true);
});

test("the pid file and the socket's mode", async () => {
  await using engine = await startEngine();
  expect(readFileSync(`${engine.directory}/pid`, "utf8")).toBe(`${engine.pid}\n`);
  const { mode, gid } = statSync(`${engine.directory}/berth.sock`);
  expect((mode & 0o777).toString(8)).toBe("660");
  const group = /^docker:[^:]*:(\d+)/m.exec(readFileSync("/etc/group", "utf8"))?.[1];
  expect(gid).toBe(group ? Number(group) : 0);
});

test("--group gives the socket away", async () => {
  await using engine = await startEngine(["--group", "daemon"]);
  const gid = Number(/^daemon:[^:]*:(\d+)/m.exec(readFileSync("/etc/group", "utf8"))?.[1]);
  expect(statSync(`${engine.directory}/berth.sock`).gid).toBe(gid);
  expect((await refusal(["--group", "no-such-group"])).stderr).toContain("no-such-group");
});

test("--log-level", async () => {
  await using quiet = await startEngine(["--log-level", "error"]);
  await quiet.ok("ps");
  await quiet.docker("inspect", "nobody");
  expect(await quiet.log()).toBe("");
  await using loud = await startEngine(["--debug"]);
  await loud.docker("inspect", "nobody");
  expect(await loud.log()).toMatch(/level=debug msg="Request refused"/);
});

test("programs that are missing are named with the package to install", async () => {
  const bin = `${directory}/bin`;
  mkdirSync(bin);
  const link = (...names: string[]) => {
    for (const name of names) symlinkSync(Bun.which(name) ?? "", `${bin}/${name}`);
  };
  const nothing = await refusal([], { PATH: bin });
  expect(nothing.code).toBe(1);
  expect(nothing.stderr).toMatch(/conmon is missing: apt-get install conmon/);
  expect(nothing.stderr).toMatch(/nft is missing: apt-get install nftables/);
  expect(nothing.stderr).toMatch(/ip is missing: apt-get install iproute2/);
  expect(nothing.stderr).toMatch(/apt-get install crun/);
  link("conmon", "nft", "ip");
  const noRuntime = await refusal([], { PATH: bin });
  expect(noRuntime.stderr).not.toContain("conmon");
  expect(noRuntime.stderr).toMatch(/no OCI runtime is installed: apt-get install crun/);
  expect(existsSync(`${directory}/data/berth.db`)).toBe(false);
});

test("flags and configuration that make no sense are refused by name", async () => {
  const cases: [readonly string[], RegExp][] = [
    [["--no-such-flag"], /no-such-flag/],
    [["stray"], /unknown argument "stray"/],
    [["--log-level", "loud"], /loud/],
    [["--runtime", "nonsense"], /nonsense/],
    [["--bip", "nonsense"], /nonsense/],
    [["--bridge", "much-too-long-a-name"], /much-too-long-a-name/],
    [["--host", "ftp://x"], /ftp:\/\/x/],
    [["--registry-mirror", "not a url"], /not a url/],
    [["--config-file", `${directory}/none.json`], /none\.json does not exist/],
  ];
  for (const [flags, why] of cases) {
    const { code, stderr } = await refusal(flags);
    expect([flags, code]).toEqual([flags, expect.any(Number)]);
    expect(code).not.toBe(0);
    expect([flags, stderr]).toEqual([flags, expect.stringMatching(why)]);
  }
  for (const [text, why] of [
    ["{", /daemon\.json/],
    ["[]", /must hold an object/],
    ['{"nonsense": 1}', /key "nonsense" is not supported/],
    ['{"registry-mirrors": "x"}', /registry-mirrors must be a list/],
  ] as const) {
    const path = `${directory}/daemon.json.own`;
    writeFileSync(path, text.replace("daemon.json", "x"));
    const { code, stderr } = await refusal(["--config-file", path]);
    expect([text, code, stderr]).toEqual([text, 1, expect.stringMatching(why)]);
  }
});

test("a configuration file is followed, and flags win over it", async () => {
  const config = `${directory}/own.json`;
  const hosts = [`unix://${directory}/one.sock`, `unix://${directory}/two.sock`];
  const roots = { "data-root": `${directory}/d`, "exec-root": `${directory}/e`, pidfile: `${directory}/p` };
  writeFileSync(config, JSON.stringify({ hosts, ...roots, "log-level": "error" }));
  const child = Bun.spawn([berth, "daemon", "--config-file", config, "--log-level", "debug"], { stderr: "pipe" });
  for (const host of hosts) {
    await until(`${host} answers`, async () => (await cli("berth", host, ["ps"])).code === 0);
  }
  expect(readFileSync(roots.pidfile, "utf8")).toBe(`${child.pid}\n`);
  expect(existsSync(`${directory}/d/berth.db`)).toBe(true);
  child.kill();
  expect(await new Response(child.stderr).text()).toContain("level=info");
  expect(await child.exited).toBe(0);
});

test("it has its own settings of the JavaScript engine, which what it starts does not get", async () => {
  await using engine = await startEngine();
  await importBusybox(engine);
  const id = await engine.ok("run", "-d", "busybox", "sleep", "1000");
  const environment = (pid: number | string) => readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  expect(environment(engine.pid)).toContain("BUN_JSC_useFTLJIT=0");
  const monitor =
    Bun.spawnSync(["pgrep", "-f", `conmon.*${id}`])
      .stdout.toString()
      .trim()
      .split("\n")[0] ?? "";
  expect(environment(monitor).filter((one) => one.startsWith("BUN_"))).toEqual([]);
  const inside = await engine.ok("exec", id, "env");
  expect(inside).not.toContain("BUN_");
});

test("both runtimes serve", async () => {
  for (const runtime of ["crun", "runc"]) {
    await using engine = await startEngine(["--runtime", runtime]);
    await importBusybox(engine);
    expect(await engine.ok("run", "--rm", "busybox", "echo", runtime)).toBe(runtime);
    expect(await engine.ok("info", "-f", "{{.DefaultRuntime}}")).toBe(runtime);
    const id = await engine.ok("run", "-d", "busybox", "sleep", "100000");
    expect((await engine.docker("exec", id, "sh", "-c", "exit 4")).code).toBe(4);
    expect((await engine.docker("run", "--rm", "busybox", "nothing-there")).code).toBe(127);
    await engine.ok("rm", "-f", id);
  }
});

test("it listens on TCP, too, when it is told", async () => {
  await using engine = await startEngine(["--host", "tcp://127.0.0.1:0"]);
  const port = /listen=\S*,tcp:\/\/127\.0\.0\.1:(\d+)/.exec(await engine.log())?.[1];
  expect(await (await fetch(`http://127.0.0.1:${port}/_ping`)).text()).toBe("OK");
  expect(await engine.log()).toContain("level=warn");
});

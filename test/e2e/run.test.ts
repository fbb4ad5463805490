import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { berth, cli, cliEnv, type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { onTerminal } from "../support/terminal.ts";
import { patience } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

describe.each(["docker", "berth"] as const)("%s run", (which) => {
  const run = (...argv: string[]) => cli(which, engine.host, ["run", "--rm", ...argv]);

  test("keeps the two output streams apart and passes on the exit status", async () => {
    expect(await run("busybox", "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({
      code: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  test("-i reads to the end of its input, every byte", async () => {
    const stdin = Buffer.alloc(3 << 20, "0123456789abcdef\n");
    const { code, stdout } = await cli(which, engine.host, ["run", "--rm", "-i", "busybox", "sha256sum"], { stdin });
    expect(code).toBe(0);
    expect(stdout).toStartWith(new Bun.CryptoHasher("sha256").update(stdin).digest("hex"));
  });

  test("without -i the command's input is empty", async () => {
    const { stdout } = await cli(which, engine.host, ["run", "--rm", "busybox", "wc", "-c"], { stdin: "ignored" });
    expect(stdout.trim()).toBe("0");
  });

  test("sets what it is told: environment, directory, user, host name, entrypoint, labels", async () => {
    const show = "echo $A-$B; pwd; id -u; id -g; id -G; hostname; echo $HOME";
    const flags = ["-e", "A=1", "-e", "B=x y", "-w", "/made/here", "-u", "alice", "--hostname", "box"];
    const { stdout } = await run(...flags, "--entrypoint", "sh", "busybox", "-c", show);
    expect(stdout.split("\n")).toEqual(["1-x y", "/made/here", "1000", "1000", "1000 10", "box", "/home/alice", ""]);
  });

  test("-u takes numbers and groups that no file knows", async () => {
    expect((await run("-u", "1234:55", "busybox", "sh", "-c", "id -u; id -g")).stdout).toBe("1234\n55\n");
    expect((await run("-u", "0:alice", "busybox", "sh", "-c", "id -u; id -g")).stdout).toBe("0\n1000\n");
  });

  test("-e NAME and --env-file take values from here", async () => {
    const path = `${engine.directory}/env-${which}`;
    await Bun.write(path, "# comment\nFROM_FILE=a=b\nPASSED\n");
    const argv = ["run", "--rm", "-e", "PASSED", "--env-file", path, "busybox", "env"];
    const { stdout } = await cli(which, engine.host, argv, { env: { PASSED: "on" } });
    expect(stdout.split("\n")).toContain("PASSED=on");
    expect(stdout.split("\n")).toContain("FROM_FILE=a=b");
  });

  test("gives a command that is not there 127, one that cannot run 126, and what the engine refuses 125", async () => {
    const missing = await run("busybox", "no-such-program");
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain("no-such-program");
    expect((await run("busybox", "/etc/passwd")).code).toBe(126);
    expect((await run("busybox", "/etc")).code).toBe(126);
    expect((await run("no-such-image:at-all")).code).toBe(125);
    expect((await run("--no-such-flag", "busybox")).code).toBe(125);
    expect(await engine.ok("ps", "-aq")).toBe("");
  });

  test("reports a signal as 128 and its number", async () => {
    expect((await run("busybox", "sh", "-c", "sh -c 'kill -KILL $$'; exit $?")).code).toBe(137);
    expect((await run("busybox", "sh", "-c", "trap 'exit 9' TERM; kill $$")).code).toBe(9);
  });

  test("-d prints the id and leaves the container running", async () => {
    const { stdout } = await cli(which, engine.host, ["run", "-d", "--name", `d-${which}`, "busybox", "sleep", "1000"]);
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await engine.ok("inspect", "-f", "{{.Id}} {{.State.Status}} {{.Path}}", `d-${which}`)).toBe(
      `${stdout.trim()} running sleep`,
    );
    expect(await engine.ok("rm", "-f", `d-${which}`)).toBe(`d-${which}`);
  });

  test("--rm takes the container and its anonymous volumes with it", async () => {
    const { code } = await run("-v", "/data", "--name", `gone-${which}`, "busybox", "touch", "/data/x");
    expect(code).toBe(0);
    expect((await engine.docker("inspect", `gone-${which}`)).stderr).toContain(`gone-${which}`);
    expect(await engine.ok("volume", "ls", "-q")).toBe("");
  });

  test("--cidfile, --label and --name", async () => {
    const path = `${engine.directory}/cid-${which}`;
    const flags = ["-d", "--cidfile", path, "--label", "a=b", "--label", "bare", "--name", `named-${which}`];
    const { stdout } = await cli(which, engine.host, ["run", ...flags, "busybox", "true"]);
    expect(await Bun.file(path).text()).toBe(stdout.trim());
    expect(JSON.parse(await engine.ok("inspect", "-f", "{{json .Config.Labels}}", `named-${which}`))).toEqual({
      a: "b",
      bare: "",
    });
    await engine.ok("rm", "-f", `named-${which}`);
  });

  test.skipIf(isOld(which))("-t gives a terminal of the caller's size, and follows it", async () => {
    const script = "stty size; tty; read go; until stty size | grep '22 99'; do sleep 0.1; done; exit 5";
    await using screen = onTerminal(which, engine.host, ["run", "--rm", "-it", "busybox", "sh", "-c", script]);
    await screen.shows("33 111");
    await screen.shows("/dev/pts/0");
    screen.type("go\n");
    await screen.resizeUntil({ columns: 99, rows: 22 }, "22 99");
    expect(await screen.exited).toBe(5);
  });

  test("-t turns what the program writes into the terminal's line ends", async () => {
    await using screen = onTerminal(which, engine.host, ["run", "--rm", "-it", "busybox", "printf", "one\\ntwo\\n"]);
    expect(await screen.exited).toBe(0);
    expect(screen.text).toContain("one\r\ntwo\r\n");
  });

  test("an interrupt typed at the terminal reaches the program", async () => {
    const script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done";
    await using screen = onTerminal(which, engine.host, ["run", "--rm", "-it", "busybox", "sh", "-c", script]);
    await screen.shows("ready");
    screen.type("\x03");
    expect(await screen.exited).toBe(9);
    expect(screen.text).toContain("caught");
  });

  test("a signal to the CLI is passed on", async () => {
    const script = "trap 'echo got it; exit 11' TERM; echo ready; while :; do sleep 0.1; done";
    const child = Bun.spawn([which === "berth" ? berth : "docker", "run", "--rm", "busybox", "sh", "-c", script], {
      env: cliEnv(engine.host),
      stdout: "pipe",
      timeout: 30_000 * patience,
    });
    let text = "";
    for await (const chunk of child.stdout) {
      text += Buffer.from(chunk).toString();
      if (text === "ready\n") child.kill("SIGTERM");
    }
    expect(text).toBe("ready\ngot it\n");
    expect(await child.exited).toBe(11);
  });
});

test("the container's own files are the engine's", async () => {
  const show =
    "cat /etc/hostname; grep box /etc/hosts; test -s /etc/resolv.conf && echo resolv; grep -c localhost /etc/hosts";
  const out = await engine.ok("run", "--rm", "--hostname", "box", "busybox", "sh", "-c", show);
  expect(out).toMatch(/^box\n\d+\.\d+\.\d+\.\d+\s+box\nresolv\n[1-9]/);
});

test("--dns, --dns-search, --dns-option and --add-host are written into its files", async () => {
  const flags = [
    "--dns",
    "192.0.2.1",
    "--dns-search",
    "example.test",
    "--dns-option",
    "ndots:3",
    "--add-host",
    "other:192.0.2.9",
  ];
  const out = await engine.ok("run", "--rm", ...flags, "busybox", "cat", "/etc/resolv.conf", "/etc/hosts");
  expect(out).toContain("nameserver 192.0.2.1");
  expect(out).toContain("search example.test");
  expect(out).toContain("options ndots:3");
  expect(out).toMatch(/^192\.0\.2\.9\s+other$/m);
});

test("--tmpfs, --shm-size, --sysctl, --ulimit and --init", async () => {
  const flags = [
    "--tmpfs",
    "/t:size=1m",
    "--shm-size",
    "2m",
    "--sysctl",
    "net.ipv4.ip_unprivileged_port_start=77",
    "--ulimit",
    "nofile=99:100",
  ];
  const show = "df -k /t /dev/shm | awk 'NR>1{print $2}'; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ulimit -n";
  expect(await engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", show)).toBe("1024\n2048\n77\n99");
});

test("a closed pipe on our side does not stop the container", async () => {
  const id = await engine.ok("run", "-d", "busybox", "sh", "-c", "while :; do echo line; sleep 0.01; done");
  const child = Bun.spawn(["sh", "-c", "docker attach --no-stdin $0 | head -1", id], {
    stdout: "pipe",
    env: { ...process.env, DOCKER_HOST: engine.host },
  });
  expect(await new Response(child.stdout).text()).toBe("line\n");
  expect(await engine.ok("inspect", "-f", "{{.State.Running}}", id)).toBe("true");
  await engine.ok("rm", "-f", id);
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { call } from "../support/api.ts";
import { berth, type Engine, rootFlags, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
/** The host's id of a container's root. */
let base = 0;
beforeAll(async () => {
  engine = await startEngine(["--userns-remap", "default"]);
  await importBusybox(engine);
  base = Number(/^berthremap:(\d+):65536$/m.exec(readFileSync("/etc/subuid", "utf8"))?.[1]);
});
afterEach(() => removeAll(engine));
afterAll(() => engine[Symbol.asyncDispose]());

async function removeAll(one: Engine): Promise<void> {
  const ids = await one.ok("ps", "-aq");
  if (ids !== "") await one.ok("rm", "-f", "-v", ...ids.split("\n"));
}

const inside = (script: string, ...flags: string[]) =>
  engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);
const inspect = (name: string, format: string) => engine.ok("inspect", "-f", format, name);
const sleeper = (name: string, ...flags: string[]) =>
  engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sleep", "100000");
const owner = (path: string) => [statSync(path).uid, statSync(path).gid];
const namespaceOf = async (name: string) => (await engine.ok("exec", name, "readlink", "/proc/self/ns/user")).trim();

async function refusal(...argv: string[]): Promise<string> {
  const { code, stderr } = await engine.docker(...argv);
  expect(code).not.toBe(0);
  return stderr;
}

function hostDirectory(name: string): string {
  const path = join(engine.directory, name);
  mkdirSync(path);
  chmodSync(path, 0o755);
  return path;
}

describe("who is who", () => {
  test("root inside is somebody else outside; so says info", async () => {
    await sleeper("box");
    const pid = await inspect("box", "{{.State.Pid}}");
    const map = readFileSync(`/proc/${pid}/uid_map`, "utf8").trim().split(/\s+/).map(Number);
    expect(map).toEqual([0, base, 65_536]);
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(new RegExp(`^Uid:\t${base}\t`, "m"));
    expect(await engine.ok("exec", "box", "id", "-u")).toBe("0");
    expect(await engine.ok("exec", "-u", "alice", "box", "id", "-un")).toBe("alice");
    expect(await engine.ok("top", "box")).toContain(String(base));
    expect(await engine.ok("info", "-f", "{{.SecurityOptions}}")).toContain("name=userns");
  });

  test("streams, terminals, an init, a working directory and limits are as without", async () => {
    expect(await inside("echo out > /dev/stdout; echo err > /dev/stderr; id -u")).toBe("out\n0");
    expect(await inside("tty; id -u", "-t")).toContain("/dev/pts/0");
    const piped = Bun.spawn(["docker", "run", "--rm", "-i", "busybox", "cat"], {
      env: { ...process.env, DOCKER_HOST: engine.host },
      stdin: Buffer.from("through\n"),
    });
    expect(await new Response(piped.stdout).text()).toBe("through\n");
    expect(await inside("stat -c '%u %n' . ..", "-w", "/new/dir", "--init", "-m", "64m", "-u", "alice")).toBe(
      "0 .\n0 ..",
    );
    expect(
      await inside("cat /proc/sys/net/ipv4/ping_group_range; ping -c 1 -W 5 127.0.0.1 > /dev/null && echo ok"),
    ).toBe("0\t65535\nok");
    expect(owner("/dev/null")).toEqual([0, 0]);
  });

  test("another container's network, processes and shared memory come with its user namespace", async () => {
    await sleeper("first", "--ipc", "shareable");
    const name = await namespaceOf("first");
    for (const kind of ["network", "pid", "ipc"])
      expect(await inside("readlink /proc/self/ns/user; touch /dev/shm/x", `--${kind}`, "container:first")).toBe(name);
    await sleeper("apart");
    expect(await namespaceOf("apart")).not.toBe(name);
    await sleeper("host", "--userns", "host");
    expect(await refusal("run", "--rm", "--network", "container:host", "busybox", "true")).toContain(
      "cannot join a namespace of container host, which is in another user namespace: use --userns=host",
    );
    const both = ["--network", "container:first", "--pid", "container:apart"];
    expect(await refusal("run", "--rm", ...both, "busybox", "true")).toContain("must share one");
    expect(await inside("readlink /proc/self/ns/user", "--userns", "host", "--network", "container:first")).not.toBe(
      name,
    );
  });

  test("names in a user's network resolve, ports answer, and the way out is as without", async () => {
    await engine.ok("network", "create", "own");
    const script = "while :; do echo pong | nc -l -p 80; done";
    await engine.ok("run", "-d", "--name", "web", "--network", "own", "busybox", "sh", "-c", script);
    const ask = "for i in $(seq 100); do nc -w 2 web 80 < /dev/null && break; usleep 50000; done";
    expect(await inside(ask, "--network", "own")).toBe("pong");
    await engine.ok("network", "connect", "bridge", "web");
    expect(await engine.ok("exec", "web", "ls", "/sys/class/net")).toBe("eth0\neth1\nlo");
    await removeAll(engine);
    await engine.ok("network", "rm", "own");
  });

  test("what needs the host's is refused in dockerd's words, and allowed with --userns=host", async () => {
    const refused: Readonly<Record<string, string>> = {
      "--privileged":
        "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace",
      "--network=host": "cannot share the host's network namespace when user namespaces are enabled",
      "--pid=host": "cannot share the host PID namespace when user namespaces are enabled",
      "--ipc=host": "cannot share the host's IPC namespace when user namespaces are enabled",
    };
    for (const [flag, message] of Object.entries(refused)) {
      expect(await refusal("create", flag, "busybox", "true")).toContain(message);
      expect(await inside("cat /proc/self/uid_map", flag, "--userns=host")).toContain("4294967295");
    }
    const { status, json } = await call(engine, "POST /containers/create", {
      ...{ Image: "busybox", HostConfig: { UsernsMode: "keep-id" } },
    });
    expect([status, json.message]).toEqual([400, expect.stringContaining("invalid user namespace mode: keep-id")]);
  });
});

describe("files", () => {
  test("are stored with the ids that they have inside", async () => {
    await sleeper("box");
    await engine.ok(
      "exec",
      "box",
      "sh",
      "-c",
      "touch /root/r /tmp/a; chown alice:wheel /tmp/a; rm /etc/group; mkdir /d",
    );
    const [upper, merged] = (
      await inspect("box", "{{.GraphDriver.Data.UpperDir}} {{.GraphDriver.Data.MergedDir}}")
    ).split(" ");
    expect([owner(`${upper}/root/r`), owner(`${upper}/tmp/a`)]).toEqual([
      [0, 0],
      [1000, 10],
    ]);
    expect([owner(`${merged}/bin/busybox`), owner(`${merged}/tmp/a`)]).toEqual([
      [base, base],
      [base + 1000, base + 10],
    ]);
    const owners = async () => {
      const tar = Bun.spawn(["sh", "-c", "docker export box | tar tv --numeric-owner"], {
        env: { ...process.env, DOCKER_HOST: engine.host },
      });
      const lines = (await new Response(tar.stdout).text()).split("\n");
      return lines.filter((line) => /(root\/r|tmp\/a|bin\/busybox)$/.test(line)).map((line) => line.split(/\s+/)[1]);
    };
    expect(await owners()).toEqual(["0/0", "0/0", "1000/10"]);
    const diff = (await engine.ok("diff", "box")).split("\n");
    await engine.ok("stop", "-t", "0", "box");
    expect(await owners()).toEqual(["0/0", "0/0", "1000/10"]);
    expect((await engine.ok("diff", "box")).split("\n")).toEqual(diff);
    expect(diff).toContain("D /etc/group");
  });

  test("survive a commit, with and without a namespace", async () => {
    await engine.ok(
      "run",
      "--name",
      "made",
      "busybox",
      "sh",
      "-c",
      "echo x > /x; echo y > /y; chown alice:wheel /y; rm /etc/group",
    );
    await engine.ok("commit", "made", "again");
    for (const flags of [[], ["--userns=host"]]) {
      const script = "stat -c '%u %g %n' /x /y /bin/busybox; cat /x /y; test -e /etc/group || echo gone";
      const told = await engine.ok("run", "--rm", ...flags, "again", "sh", "-c", script);
      expect(told).toBe("0 0 /x\n1000 10 /y\n0 0 /bin/busybox\nx\ny\ngone");
    }
    await engine.ok("rm", "made");
    await engine.ok("rmi", "again");
  });

  test("in volumes belong to who made them, for everybody", async () => {
    const seen = "cd /v; stat -c '%u %g %n' *";
    await inside("cd /v; touch r a; chown alice:wheel a", "-v", "shared:/v");
    expect(await inside(seen, "-v", "shared:/v")).toBe("1000 10 a\n0 0 r");
    expect(await inside(`touch /v/h; ${seen}`, "-v", "shared:/v", "--userns=host")).toBe("1000 10 a\n0 0 h\n0 0 r");
    expect(await inside("rm /v/h; ls /v", "-v", "shared:/v")).toBe("a\nr");
    const data = await engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "shared");
    expect(owner(`${data}/a`)).toEqual([1000, 10]);
    expect(await inside("ls -ld /home/alice; ls -A /home", "-v", "filled:/home")).toMatch(/^drwx\S+\s+2 root\s+root/);
    await engine.ok("volume", "rm", "shared", "filled");
  });

  test("the engine's own belong to the container's root", async () => {
    const script =
      "stat -c %u /etc/hosts /etc/hostname /etc/resolv.conf; echo 1.2.3.4 x >> /etc/hosts && tail -n 1 /etc/hosts";
    expect(await inside(script)).toBe("0\n0\n0\n1.2.3.4 x");
  });
});

describe("builds", () => {
  const build = async (dockerfile: string, ...flags: string[]) => {
    const context = hostDirectory(`context${Date.now()}`);
    writeFileSync(join(context, "Dockerfile"), dockerfile);
    writeFileSync(join(context, "private"), "from the context", { mode: 0o600 });
    return engine.docker("build", "-t", "built", ...flags, context);
  };

  test("RUN is in a namespace; what it makes is as without", async () => {
    const { code, stdout, stderr } = await build(`FROM busybox AS tools
RUN echo "map $(cat /proc/self/uid_map)"; mkdir /kept; echo secret > /kept/s; chmod 600 /kept/s
FROM busybox
WORKDIR /made
RUN touch root && chown alice:wheel . && rm /etc/group; ping -c 1 -W 5 127.0.0.1 > /dev/null && stat -c '%u %n' /etc/hosts
USER alice
RUN touch alice
USER root
RUN --mount=type=bind,source=private,target=/p cat /p && stat -c '%u %n' /p
RUN --mount=type=bind,target=/ctx,rw echo x >> /ctx/private && touch /ctx/new && stat -c '%u %n' /ctx/* && cat /ctx/private
RUN --mount=type=bind,from=tools,source=/kept,target=/k cat /k/s && stat -c '%u %n' /k/s
RUN --mount=type=bind,from=tools,source=/kept,target=/k,rw echo more >> /k/s && cat /k/s && rm /k/s
RUN --mount=type=cache,target=/c touch /c/x && stat -c '%u %n' /c/x && mknod /made/dev c 1 3 || echo no devices
`);
    expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
    expect(stdout.replace(/\s+/g, " ")).toContain(`map 0 ${base} 65536`);
    for (const line of [
      "0 /etc/hosts",
      "from the context0 /p",
      "0 /ctx/new",
      "from the contextx",
      "0 /k/s",
      "secret\nmore",
      "0 /c/x",
    ])
      expect(stdout).toContain(line);
    expect(stdout).toContain("no devices");
    for (const flags of [[], ["--userns=host"]]) {
      const told = await engine.ok(
        "run",
        "--rm",
        ...flags,
        "built",
        "sh",
        "-c",
        "stat -c '%u %g %n' . root alice; ls -A / /etc",
      );
      expect(told).toStartWith("1000 10 .\n0 0 root\n1000 1000 alice\n");
      expect(told).not.toMatch(/^(group|k|ctx|p|c)$/m);
    }
    await engine.ok("rmi", "built");
    expect(readdirSync(join(engine.directory, "exec/builds"))).toEqual([]);
    expect(owner("/dev/null")).toEqual([0, 0]);
  });

  test("the host's network is refused", async () => {
    const { code, stderr, stdout } = await build("FROM busybox\nRUN echo with the host\n", "--network", "host");
    expect([code, `${stdout}${stderr}`]).toEqual([
      ...[1, expect.stringContaining("cannot share the host's network namespace when user namespaces are enabled")],
    ]);
  });
});

describe("the host's files", () => {
  test("bound into a container belong to nobody there, and its root cannot change them", async () => {
    const host = hostDirectory("bound");
    writeFileSync(join(host, "secret"), "s", { mode: 0o600 });
    writeFileSync(join(host, "public"), "p", { mode: 0o644 });
    writeFileSync(join(host, "own"), "o", { mode: 0o600 });
    chownSync(join(host, "own"), base, base);
    const each = [
      "cat secret",
      "chown 0 public",
      "chmod 777 public",
      "echo x > public",
      "rm public",
      "touch new",
      "mknod n c 1 3",
    ];
    const script = `cd /b; stat -c '%u %n' *; ${each.map((one) => `(${one}) 2>/dev/null && echo ${one.split(" ")[0]}`).join("; ")}; cat own`;
    expect(await inside(script, "-v", `${host}:/b`, "--cap-add", "ALL")).toBe("0 own\n65534 public\n65534 secret\no");
    expect(owner(join(host, "public"))).toEqual([0, 0]);
    expect(readdirSync(host).toSorted()).toEqual(["own", "public", "secret"]);
  });

  test("where none were, the new directory is the container's root's", async () => {
    const host = hostDirectory("made");
    await inside("touch /b/x", "-v", `${host}/a/b:/b`);
    expect([owner(host), owner(`${host}/a`), owner(`${host}/a/b`), owner(`${host}/a/b/x`)]).toEqual([
      [0, 0],
      ...Array(3).fill([base, base]),
    ]);
  });

  test("all capabilities are no way out", async () => {
    const each = ["mknod /d b 8 0", "echo 1 > /proc/sys/kernel/panic", "mount -o remount,rw /sys"];
    const script = each.map((one) => `(${one}) > /dev/null 2>&1 && echo "${one}"`).join("; ");
    expect(await inside(`${script}; echo end`, "--cap-add", "ALL", "--security-opt", "seccomp=unconfined")).toBe("end");
  });
});

describe("over the daemon's life", () => {
  test("a container goes on over a crash, and starts again; nothing is left afterwards", async () => {
    await sleeper("box", "-v", "kept:/v");
    await engine.ok("exec", "box", "touch", "/v/x", "/mine");
    const pid = await inspect("box", "{{.State.Pid}}");
    await engine.stop("SIGKILL");
    await engine.start();
    expect(await inspect("box", "{{.State.Pid}}")).toBe(pid);
    expect(await engine.ok("exec", "box", "stat", "-c", "%u", "/v/x", "/mine")).toBe("0\n0");
    await engine.ok("restart", "-t", "0", "box");
    expect(await engine.ok("exec", "box", "stat", "-c", "%u", "/v/x", "/mine")).toBe("0\n0");
    await engine.ok("rm", "-f", "-v", "box");
    const exec = join(engine.directory, "exec");
    expect(readdirSync(join(exec, "userns")).filter((name) => !name.startsWith("+"))).toEqual([]);
    expect(readdirSync(join(exec, "staged"))).toEqual([]);
    const mounted = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    expect(mounted.filter((line) => line.includes(`${exec}/staged`) || line.includes(`${exec}/rootfs`))).toEqual([]);
  });

  test("without --userns-remap only those that ask have a namespace; a container is the same either way", async () => {
    await using plain = await startEngine();
    await importBusybox(plain);
    const run = async (...flags: string[]) => {
      const { stdout, stderr } = await plain.berth("run", ...flags, "busybox", "cat", "/proc/self/uid_map");
      return `${stdout}${stderr}`.trim().split(/\s+/).join(" ");
    };
    expect(await run("--rm")).toBe("0 0 4294967295");
    expect(await run("--rm", "--userns=private")).toBe(`0 ${base} 65536`);
    await plain.berth("run", "-d", "--name", "box", "--userns=private", "busybox", "sleep", "100000");
    expect(await run("--rm", "--userns=container:box")).toBe(`0 ${base} 65536`);
    expect(await run("--rm", "--userns=private", "--network=container:box")).toContain("use --userns=container:NAME");
    expect(await plain.ok("info", "-f", "{{.SecurityOptions}}")).not.toContain("userns");
    await removeAll(plain);
  });

  test("a user without ids, and a directory that keeps them out, end the daemon with a word", async () => {
    const directory = hostDirectory("refused");
    const said = async (...flags: string[]) => {
      const argv = [berth, "daemon", "--host", `unix://${directory}/s.sock`, ...rootFlags(directory), ...flags];
      const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
      const text = await new Response(child.stderr).text();
      expect(await child.exited).not.toBe(0);
      return text;
    };
    expect(await said("--userns-remap", "nobody-here")).toContain("there is no user nobody-here");
    expect(await said("--userns-remap", "daemon")).toContain("no range of ids for daemon in /etc/subuid");
    chmodSync(directory, 0o700);
    expect(await said("--userns-remap", "default")).toContain("let them through with chmod o+x");
    expect(existsSync(`${directory}/s.sock`)).toBe(false);
  });
});

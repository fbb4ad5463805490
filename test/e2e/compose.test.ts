import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { type CliResult, cliEnv, type Engine, expectOk, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { kernelObjects } from "../support/leaks.ts";
import { freePort, type Registry, startRegistry } from "../support/registry.ts";
import { until } from "../support/until.ts";

/** Debian's docker-compose 1.29 with a file of the usual kind; the tests of a project go on from each other. */
const directory = `${import.meta.dir}/compose`;
let engine: Engine;
let registry: Registry;
/** Ports of the host for the containers of `web`. */
let ports: string;

beforeAll(async () => {
  [engine, registry] = await Promise.all([startEngine(), startRegistry()]);
  await importBusybox(engine);
  await engine.ok("tag", "busybox", `${registry.host}/cache:1`);
  await engine.ok("push", `${registry.host}/cache:1`);
  await engine.ok("rmi", `${registry.host}/cache:1`);
  const first = await freePort();
  ports = `${first}-${Math.min(first + 30, 65535)}`;
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

function spawnCompose(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const project = { COMPOSE_PROJECT_NAME: "shop", REGISTRY: registry.host, PORTS: ports, CACHED: "cached", ...env };
  return Bun.spawn(["docker-compose", "--ansi", "never", ...argv], {
    cwd: directory,
    env: { ...cliEnv(engine.host), ...project, FROM_HOST: "from the host" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 110_000,
    killSignal: "SIGKILL",
  });
}

async function compose(argv: readonly string[], env?: Readonly<Record<string, string>>): Promise<CliResult> {
  const child = spawnCompose(argv, env);
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
  const [stdout, stderr, code] = await Promise.all([...texts, child.exited]);
  return { stdout, stderr, code };
}

/** A command that must succeed and warn of nothing. */
async function ok(...argv: string[]): Promise<string> {
  const result = await compose(argv);
  expect(result.stderr).not.toMatch(/warning/i);
  return expectOk(argv, result);
}

const inspect = async (name: string) => JSON.parse(await engine.ok("inspect", name))[0];
const idsOf = (...filters: string[]) => engine.ok("ps", "-aq", ...filters.flatMap((one) => ["--filter", one]));
const stateOf = (name: string) => engine.ok("inspect", "-f", "{{.State.Status}}", name);
const within = (service: string, script: string) => engine.ok("exec", `shop_${service}_1`, "sh", "-c", script);

async function page(index = 1): Promise<string> {
  const address = await engine.ok("port", `shop_web_${index}`, "80/tcp");
  const answer = await fetch(`http://${address}/cgi-bin/all`, { keepalive: false });
  return (await answer.text()).trim();
}

/** What a service gets for names, those that do not resolve as "". */
async function resolved(service: string, ...names: string[]): Promise<Record<string, string[]>> {
  const script = names.map((name) => `echo "name: ${name}"; nslookup -type=a ${name}`).join("; ");
  const stdout = await engine.ok("exec", `shop_${service}_1`, "sh", "-c", `${script}; true`);
  const parts = stdout.split("name: ").slice(1);
  return Object.fromEntries(
    parts.map((part) => [
      part.split("\n")[0],
      [...part.matchAll(/^Address: (\S+)$/gm)].map(([, address = ""]) => address),
    ]),
  );
}

const addressOf = async (name: string, network: string) =>
  (await inspect(name)).NetworkSettings.Networks[network].IPAddress as string;

describe("a shop of five services on two networks", () => {
  test("build and up: in the order of depends_on, an image pulled, and the page goes through all", async () => {
    const built = await ok("build");
    expect(built).toContain("Successfully tagged shop-app:1");
    const { code, stdout, stderr } = await compose(["up", "-d"]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("Creating shop_web_1")]);
    expect(stderr).not.toMatch(/warning/i);
    expect(stdout + stderr).toContain("Pulling cache");
    expect(await page()).toBe("db=42 cache=cached greeting=hello");
    expect((await ok("ps", "--services", "--filter", "status=running")).split("\n").toSorted()).toEqual([
      "app",
      "cache",
      "db",
      "sidecar",
      "web",
    ]);
    const shown = await ok("ps");
    expect(shown).toMatch(/shop_app_1 .*Up \(healthy\)/);
    expect(shown).toMatch(/shop_web_1 .*127\.0\.0\.1:\d+->80\/tcp, 0\.0\.0\.0:\d+->81\/udp/);
    expect(await ok("port", "web", "80")).toBe(await engine.ok("port", "shop_web_1", "80/tcp"));
    expect((await ok("images")).split("\n").length).toBe(7);
  });

  test("every option of the file reaches its container", async () => {
    const { Config, HostConfig, Mounts, NetworkSettings } = await inspect("shop_app_1");
    const limits = [HostConfig.Memory, HostConfig.MemorySwap, HostConfig.MemoryReservation, HostConfig.NanoCpus];
    expect(limits).toEqual([64 << 20, 128 << 20, 32 << 20, 5e8]);
    expect([HostConfig.CpuShares, HostConfig.PidsLimit, HostConfig.ShmSize]).toEqual([512, 50, 8 << 20]);
    expect(HostConfig.RestartPolicy).toEqual({ Name: "on-failure", MaximumRetryCount: 3 });
    expect(Config.Labels).toMatchObject({ role: "app", built: "by compose", "com.docker.compose.service": "app" });
    expect([Config.StopSignal, Config.Entrypoint, Config.Cmd]).toEqual(["SIGINT", ["/entry", "first"], ["second"]]);
    expect(Mounts).toMatchObject([
      { Type: "bind", Source: `${directory}/site`, Destination: "/site", RW: false },
      { Type: "tmpfs", Destination: "/scratch", RW: true },
    ]);
    expect(Object.keys(NetworkSettings.Networks).toSorted()).toEqual(["shop_back", "shop_front"]);
    expect(NetworkSettings.Networks.shop_back.IPAddress).toBe("10.92.117.9");
    const web = await inspect("shop_web_1");
    expect(web.HostConfig.LogConfig).toEqual({
      Type: "json-file",
      Config: { "max-size": "1m", "max-file": "2", tag: "{{.Name}}" },
    });
    expect(web.Config.StopTimeout).toBe(3);
    const script = `cat /site/index.html /www/who; id; hostname -f; cat /proc/sys/net/core/somaxconn; ulimit -n; ulimit -u;
      df /scratch /run /dev/shm | awk 'NR>1 {print $1, $2, $6}'; ls -l /dev/nothing; echo "$FROM_FILE, $FROM_HOST"; pwd`;
    const lines = (await within("app", script)).split("\n");
    expect(lines.slice(0, 7)).toEqual([
      "static",
      "built for the shop",
      "uid=0(root) gid=0(root) groups=0(root),10(wheel)",
      "apphost.example.test",
      "1000",
      "100",
      "400",
    ]);
    expect(lines.slice(7, 10)).toEqual(["tmpfs 1024 /scratch", "tmpfs 64 /run", "shm 8192 /dev/shm"]);
    expect(lines[10]).toMatch(/1, +3 .*\/dev\/nothing$/);
    expect(lines.slice(11)).toEqual(["from a file, from the host", "/tmp"]);
    const network = JSON.parse(await engine.ok("network", "inspect", "shop_back"))[0];
    expect([network.Internal, network.Attachable, network.Labels.kind]).toEqual([true, true, "back"]);
    expect(network.IPAM.Config).toEqual([
      { Subnet: "10.92.117.0/24", IPRange: "10.92.117.128/25", Gateway: "10.92.117.1" },
    ]);
    const volume = JSON.parse(await engine.ok("volume", "inspect", "shop_data"))[0];
    expect(volume.Labels).toMatchObject({ kept: "yes", "com.docker.compose.volume": "data" });
  });

  test("services, aliases and links are names in their own networks only", async () => {
    const [app, web] = [await addressOf("shop_app_1", "shop_front"), await addressOf("shop_web_1", "shop_front")];
    const [db, cache] = [await addressOf("shop_db_1", "shop_back"), await addressOf("shop_cache_1", "shop_back")];
    expect(await resolved("web", "app", "api", "linked", "web", "db", "database", "cache")).toEqual({
      ...{ app: [app], api: [app], linked: [app], web: [web] },
      ...{ db: [], database: [], cache: [] },
    });
    const inBack = { app: ["10.92.117.9"], api: [], db: [db], database: [db], cache: [cache], web: [] };
    expect(await resolved("cache", ...Object.keys(inBack))).toEqual(inBack);
    const hosts = await within("web", "cat /etc/hosts");
    expect(hosts).toMatch(/^[\d.]+\tgateway$/m);
    expect(hosts).toContain("192.0.2.7\tfixed");
    const address = "ip -4 -o addr show scope global | grep -o 'inet [0-9.]*'";
    expect(await within("sidecar", address)).toBe(await within("app", address));
  });

  test("logs, exec, run: what they write and their exit statuses", async () => {
    const logs = await ok("logs", "app");
    expect(
      logs
        .match(/app_1 +\| (entry|a).*/g)
        ?.map((line) => line.split("| ")[1])
        .toSorted(),
    ).toEqual(["a problem", "entry first second"]);
    expect(await ok("logs", "--no-color", "-t", "--tail", "1", "app")).toMatch(/\| \d{4}-\d\d-\d\dT[\d:.]+Z \S/);
    expect((await compose(["exec", "-T", "app", "sh", "-c", "exit 5"])).code).toBe(5);
    expect(
      await ok("exec", "-T", "-e", "X=1", "-u", "alice", "-w", "/", "app", "sh", "-c", "id -un; pwd; echo $X"),
    ).toBe("alice\n/\n1");
    const job = await compose(["run", "--rm", "-T", "job"]);
    expect([job.code, job.stdout]).toEqual([3, "done\n"]);
    const volume = ["-v", "shop_data:/here:ro", "-e", "X=2", "--use-aliases", "--name", "shop-run"];
    const script = "echo $X; cat /here/value; nc -w 5 database 5432 </dev/null; exit 4";
    const run = await compose(["run", "--rm", "-T", "--no-deps", ...volume, "cache", "sh", "-c", script]);
    expect([run.code, run.stdout]).toEqual([4, "2\n42\n42\n"]);
    expect(await idsOf("name=shop-run")).toBe("");
  });

  test("events, top, pause, kill", async () => {
    const events = spawnCompose(["events", "--json", "cache"]);
    let text = "";
    const reading = (async () => {
      for await (const chunk of events.stdout) text += Buffer.from(chunk).toString();
    })();
    const seen = () =>
      text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line));
    // It says nothing when it begins to listen.
    await until("compose listens", async () => {
      await ok("pause", "cache");
      expect(await ok("ps", "cache")).toContain("Paused");
      await ok("unpause", "cache");
      return seen().some(({ action }) => action === "unpause");
    });
    await ok("kill", "-s", "SIGKILL", "cache");
    await until("the death is told", () => seen().some(({ action }) => action === "die"));
    expect(seen().find(({ action }) => action === "die")).toMatchObject({
      ...{ type: "container", service: "cache" },
      attributes: { name: "shop_cache_1", image: `${registry.host}/cache:1` },
    });
    events.kill("SIGTERM");
    await Promise.all([events.exited, reading]);
    // Killed by a user: its restart policy does not bring it back, as with dockerd.
    expect(await stateOf("shop_cache_1")).toBe("exited");
    await ok("start", "cache");
    const top = await ok("top", "cache", "db");
    expect(top).toMatch(/shop_cache_1\nUID +PID +PPID/);
    expect(top).toContain("nc -ll -p 6379 -e echo cached");
  });

  test("restart, stop and start: everything finds everything again", async () => {
    await ok("restart", "-t", "2");
    expect(await page()).toBe("db=42 cache=cached greeting=hello");
    await ok("stop");
    expect((await ok("ps", "-q")).split("\n").length).toBe(5);
    expect(await engine.ok("ps", "-q")).toBe("");
    await ok("start");
    await until("the page is back", async () => (await page().catch(() => "")) === "db=42 cache=cached greeting=hello");
  });

  test("scale takes the next ports of the range, and gives them back", async () => {
    await ok("up", "-d", "--no-recreate", "--scale", "web=3");
    const all = await Promise.all([1, 2, 3].map((index) => ok("port", "--index", String(index), "web", "80")));
    expect(new Set(all).size).toBe(3);
    expect(await page(3)).toBe("db=42 cache=cached greeting=hello");
    expect((await resolved("web", "web"))["web"]).toHaveLength(3);
    await ok("up", "-d", "--no-recreate", "--scale", "web=1");
    expect((await resolved("web", "web"))["web"]).toHaveLength(1);
    await expect(fetch(`http://${all[2]}/`)).rejects.toThrow();
  });

  test("a changed file recreates what it changes and keeps its volumes", async () => {
    await within("db", "echo 43 >/data/value; echo kept >/anonymous/file");
    const before = await ok("ps", "-q", "app", "db");
    const changed = await compose(["up", "-d"], { CACHED: "anew" });
    expect(changed.stderr).toContain("Recreating shop_cache_1");
    expect(changed.stderr).toMatch(/shop_db_1 +is up-to-date/);
    expect(await ok("ps", "-q", "app", "db")).toBe(before);
    expect(await page()).toBe("db=43 cache=anew greeting=hello");
    const forced = await compose(["up", "-d", "--force-recreate", "--no-deps", "db"]);
    expect([forced.code, forced.stderr]).toEqual([0, expect.stringContaining("Recreating shop_db_1")]);
    expect(await within("db", "cat /data/value /anonymous/file")).toBe("43\nkept");
    await ok("up", "-d", "--no-deps", "--force-recreate", "--renew-anon-volumes", "db");
    expect(await within("db", "cat /data/value; ls /anonymous")).toBe("43");
    await ok("up", "-d");
    // docker-compose leaves the old one behind.
    expect(await engine.ok("volume", "prune", "-f")).toContain("Deleted Volumes:");
    await ok("pull", "cache");
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "the daemon ends by %s and comes back: nothing was restarted",
    async (signal) => {
      const started = () => engine.ok("inspect", "-f", "{{.Name}} {{.State.StartedAt}}", ...containers);
      const containers = ["app", "cache", "db", "sidecar", "web"].map((name) => `shop_${name}_1`);
      const before = await started();
      await engine.stop(signal);
      await engine.start();
      expect(await started()).toBe(before);
      expect(await page()).toBe("db=43 cache=cached greeting=hello");
      const { code, stderr } = await compose(["up", "-d"]);
      expect([code, stderr.match(/is up-to-date/g)?.length]).toEqual([0, 5]);
    },
  );

  test("down -v leaves nothing", async () => {
    const tag = await engine.tag();
    const data = await engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "shop_data");
    await ok("down", "-v", "--remove-orphans");
    expect(await engine.ok("ps", "-aq")).toBe("");
    expect(await engine.ok("volume", "ls", "-q")).toBe("");
    expect(await engine.ok("network", "ls", "-q", "--filter", "type=custom")).toBe("");
    expect(existsSync(data)).toBe(false);
    const { links, cgroups, nft } = await kernelObjects(tag);
    // The default bridge and namespaces in store stay.
    expect(links.filter((name) => !name.endsWith(tag) && !name.startsWith(`ve${tag}-n`))).toEqual([]);
    expect(cgroups).toEqual([]);
    expect(nft).not.toContain("10.92.117");
    const mounts = await Bun.file("/proc/self/mountinfo").text();
    const own = mounts.split("\n").filter((line) => line.includes(engine.directory) && !line.includes("/netns/"));
    expect(own).toEqual([]);
  });
});

describe("other ways of use", () => {
  const stack = (...argv: string[]) => compose(["-p", "stack", "-f", "stack.yml", "--compatibility", ...argv]);

  test("up in the foreground: secrets, limits of deploy, networks and volumes that are not its own", async () => {
    await engine.ok("network", "create", "outside");
    await engine.ok("volume", "create", "kept");
    await engine.ok("run", "--rm", "-v", "kept:/kept", "busybox", "touch", "/kept/file");
    const up = await stack("up", "--abort-on-container-exit", "--exit-code-from", "reader");
    expect(up.code).toBe(6);
    expect(up.stdout).toMatch(/reader_1 +\| FROM_FILE=from a file\n.*\| file\n.*\| found/);
    // Whether it says that the reader exited is a race of its own threads; the status above is what tells.
    const { HostConfig } = await inspect("stack_reader_1");
    expect([HostConfig.Memory, HostConfig.NanoCpus]).toEqual([32 << 20, 250_000_000]);
    expect((await stack("run", "--rm", "tool")).code).toBe(0);
    const down = await stack("down", "-v");
    expect([down.code, down.stderr]).toEqual([0, expect.stringContaining("Network outside is external, skipping")]);
    expect(await engine.ok("volume", "ls", "-q")).toBe("kept");
    await engine.ok("network", "rm", "outside");
    await engine.ok("volume", "rm", "kept");
  });

  test("run on a terminal, attached by docker-compose itself", async () => {
    let text = "";
    const own = { COMPOSE_PROJECT_NAME: "tty", COMPOSE_INTERACTIVE_NO_CLI: "1", TERM: "xterm" };
    const script = 'while read line; do echo "got $line at $(stty size)"; [ $line = end ] && exit 7; done';
    const child = Bun.spawn(
      ["docker-compose", "-f", "version2.yml", "run", "--rm", "--no-deps", "db", "sh", "-c", script],
      {
        cwd: directory,
        env: { ...cliEnv(engine.host), ...own },
        timeout: 110_000,
        killSignal: "SIGKILL",
        terminal: { cols: 111, rows: 33, data: (_, chunk) => (text += Buffer.from(chunk).toString()) },
      },
    );
    // It starts the container before it listens.
    await until(
      () => `something comes back, in ${text}`,
      async () => {
        child.terminal?.write("typed\r");
        await Bun.sleep(200);
        return text.includes("got typed at 33 111");
      },
    );
    child.terminal?.write("end\r");
    expect(await child.exited).toBe(7);
    expect(text).toContain("got end");
    expect((await compose(["-p", "tty", "-f", "version2.yml", "down", "-v"])).code).toBe(0);
  });

  test.each(["version1", "version2"])("files of %s, which speak the oldest versions of the API", async (version) => {
    const old = (...argv: string[]) => compose(["-p", version, "-f", `${version}.yml`, ...argv]);
    const up = await old("up", "--exit-code-from", "web");
    expect([up.code, up.stderr]).toEqual([5, expect.not.stringMatching(/warning/i)]);
    expect(up.stdout).toMatch(/web_1 +\| old\n.*\| old\n/);
    expect(up.stdout.includes(`| /${version}_web_1/db\n`)).toBe(version === "version1");
    expect((await old("logs", "web")).stdout).toMatch(/web_1 +\| old\n/);
    expect((await old("down", "-v")).code).toBe(0);
    expect(await engine.ok("volume", "ls", "-q")).toBe("");
  });

  test("interrupted in the foreground, it stops what it has started", async () => {
    const child = spawnCompose(["-p", "front", "-f", "version2.yml", "up", "db"]);
    const output = new Response(child.stdout).text();
    await until("it runs", async () => (await stateOf("front_db_1").catch(() => "")) === "running");
    child.kill("SIGINT");
    await Promise.all([child.exited, output]);
    expect(await stateOf("front_db_1")).toBe("exited");
    expect((await compose(["-p", "front", "-f", "version2.yml", "down", "-v"])).code).toBe(0);
  });
});

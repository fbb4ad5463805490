import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import type { DoctorReport } from "../../src/wire/mod.ts";
import { call } from "../support/api.ts";
import { type Engine, expectOk, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

/** A host of its own: the daemon in a network namespace, and another namespace at the end of its only link, which is the world. */
let engine: Engine;
let world: Bun.Subprocess;
const port = 8080;

beforeAll(async () => {
  world = Bun.spawn(["unshare", "--net", "sleep", "1000"], { stdio: ["ignore", "ignore", "ignore"] });
  engine = await startEngine([], ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]);
  await until("the world is another one", () => netnsOf(world.pid) !== netnsOf(process.pid));
  await onHost(
    ["ip", "-batch", "-"],
    `link add out0 type veth peer name in0 netns ${world.pid}
    addr add 192.0.2.1/24 dev out0\nlink set out0 up\nroute add default via 192.0.2.2`,
  );
  await inWorld(["ip", "-batch", "-"], "addr add 192.0.2.2/24 dev in0\nlink set in0 up");
  await importBusybox(engine);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  world.kill();
  await world.exited;
});

function netnsOf(pid: number): number | bigint {
  return statSync(`/proc/${pid}/ns/net`).ino;
}

async function inside(pid: number, argv: readonly string[], stdin = ""): Promise<{ code: number; stdout: string }> {
  const child = Bun.spawn(["nsenter", `--net=/proc/${pid}/ns/net`, ...argv], {
    stdin: Buffer.from(stdin),
    stdout: "pipe",
    stderr: "ignore",
  });
  return { stdout: await new Response(child.stdout).text(), code: await child.exited };
}

async function onHost(argv: readonly string[], stdin?: string): Promise<void> {
  expect((await inside(engine.pid, argv, stdin)).code, argv.join(" ")).toBe(0);
}

const inWorld = (argv: readonly string[], stdin?: string) => inside(world.pid, argv, stdin);

/** The host's rules are these and no others, but for the daemon's own, and the daemon has seen them. */
async function rules(text: string, sign: RegExp): Promise<void> {
  await onHost(["nft", "-f", "-"], `table inet filter\ndelete table inet filter\n${text}`);
  await seen(sign);
}

/** What was read just now counts for a moment, and the longer the more time it took. */
async function seen(sign: RegExp): Promise<void> {
  await until(`the daemon sees ${sign}`, async () => {
    const { Checks } = JSON.parse((await engine.berth("doctor", "--json")).stdout) as DoctorReport;
    return sign.test(Checks.find(({ Name }) => Name === "firewall")?.Message ?? "");
  });
}

const keepsOut = `table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname "lo" accept
    tcp dport 22 accept
  }
}\n`;
const passesNothing = `table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
  }
}\n`;

/** What a container that serves port 80 says when somebody in the world asks. */
async function asked(): Promise<string> {
  const { stdout } = await inWorld(["busybox", "timeout", "2", "busybox", "nc", "192.0.2.1", String(port)]);
  return stdout.trim();
}

const serve = ["busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello"];
const run = (...flags: string[]) => engine.docker("run", "-d", "--init", "--name", "web", ...flags, ...serve);

describe("a host whose firewall", () => {
  test("is none: nothing is said, and a published port is reached", async () => {
    const { code, stderr } = await run("-p", `${port}:80`);
    expect([code, stderr]).toEqual([0, ""]);
    await until("the world reaches it", async () => (await asked()) === "hello");
    await engine.ok("rm", "-f", "web");
  });

  test("keeps others out does not keep them from published ports, which run says", async () => {
    await rules(keepsOut, /comes in is dropped/);
    const { stderr } = await run("-p", `${port}:80`);
    expect(stderr).toStartWith(
      `WARNING: Published port ${port}/tcp can be reached from outside although the host's firewall (table inet filter, chain input)`,
    );
    await until("the world reaches it", async () => (await asked()) === "hello");
    await engine.ok("rm", "-f", "web");
    expect((await run("-p", `127.0.0.1:${port}:80`)).stderr).toBe("");
    await engine.ok("rm", "-f", "web");
    expect((await run("-p", "22:80")).stderr).toBe("");
    await engine.ok("rm", "-f", "web");
    expect((await run()).stderr).toBe("");
    await engine.ok("rm", "-f", "web");
  });

  test("passes nothing on silences published ports, until the rule is there that run tells of", async () => {
    await rules(passesNothing, /passed on is dropped/);
    const ran = await engine.berth("run", "-d", "--init", "--name", "web", "-p", `${port}:80`, ...serve);
    expect(ran.stderr).toContain(
      `(table inet filter, chain forward) drops what is forwarded to containers: published port ${port}/tcp`,
    );
    expect(await asked()).toBe("");
    const added = await engine.berth("port", "add", "web", `${port + 1}:80`);
    expect([added.stdout, added.stderr]).toEqual([
      `80/tcp -> 0.0.0.0:${port + 1}\n`,
      expect.stringContaining(`published port ${port + 1}/tcp will answer on this host only`),
    ]);
    const doctor = await engine.berth("doctor", "--quiet");
    expect(doctor.code).toBe(1);
    expect(doctor.stdout).toMatch(/^problem {2}published ports +The host's firewall/m);
    expect(doctor.stdout).toMatch(/^problem {2}way out +the host's firewall \(chain inet filter forward\)/m);
    const rule = /let it through: (nft insert rule .*)/.exec(ran.stderr)?.[1] ?? "";
    await onHost(rule.split(" "));
    await until("the world reaches it", async () => (await asked()) === "hello");
    await engine.ok("rm", "-f", "web");
    await seen(/everything is passed on/);
    expect((await run("-p", `${port}:80`)).stderr).toBe("");
    await engine.ok("rm", "-f", "web");
  });

  test("says it in the API's answer, once for all ports", async () => {
    await rules(passesNothing, /passed on is dropped/);
    const bindings = Object.fromEntries([1, 2, 3].map((at) => [`${at}/tcp`, [{ HostPort: `${port + at}` }]]));
    const body = { Image: "busybox", HostConfig: { PortBindings: bindings } };
    const { status, json } = await call(engine, "POST /containers/create?name=web", JSON.stringify(body));
    const { Warnings } = json as { Warnings: string[] };
    expect([status, Warnings]).toEqual([
      201,
      [expect.stringContaining("published ports 8081/tcp, 8082/tcp, 8083/tcp will")],
    ]);
    await engine.ok("rm", "web");
  });
});

test("the doctor's report has every part of the host, with its verdicts in order", async () => {
  await rules("", /everything may come in; everything is passed on/);
  const { code, stdout } = await engine.berth("doctor", "--json");
  const { Checks } = JSON.parse(stdout) as DoctorReport;
  const verdicts = new Map(Checks.map(({ Name, Verdict }) => [Name, Verdict]));
  for (const name of [
    "overlay",
    "namespaces",
    "nf_tables",
    "conmon",
    "nft",
    "OCI runtime",
    "forwarding",
    "published ports",
    "subnets",
    "leftovers",
    `socket ${engine.host}`,
  ])
    expect([name, verdicts.get(name)]).toEqual([name, "ok"]);
  expect(code).toBe([...verdicts.values()].includes("problem") ? 1 : 0);
  expect(Checks.filter(({ Message }) => /undefined|NaN|\[object/.test(Message))).toEqual([]);
  const text = expectOk(["doctor"], { ...(await engine.berth("doctor")), code: 0 });
  expect(text.split("\n").length).toBeGreaterThan(Checks.length);
});

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Db, openDb } from "../../db/mod.ts";
import { createEvents, eventsMigrations } from "../../events/mod.ts";
import { storedEvents } from "../../events/testing/stored.ts";
import { createNet, createProcesses, createWorkers, type Net } from "../../host/mod.ts";
import { nullLog } from "../../log/mod.ts";
import type { EventMessage } from "../../wire/mod.ts";
import type { NetworkConfig, NetworkHost } from "../context.ts";
import { type Networks, networkMigrations, openNetworks } from "../mod.ts";
import { Mortal } from "./mortal.ts";

/** One daemon's worth of networks on the real kernel, with its own tag, bridge and folder. */
export interface Machine {
  networks: Networks;
  readonly db: Db;
  readonly config: NetworkConfig;
  /** The same daemon after kill -9: the sockets of the old one are gone, its rows and kernel state are there. */
  restart(live: readonly string[]): Promise<void>;
  events(): EventMessage[];
  /** What it has logged as errors. */
  readonly errors: readonly string[];
  /** The thread of the resolver for names ends as if it had died. */
  crashResolver(): Promise<void>;
  /** Takes everything down, whatever the test left. */
  end(): Promise<void>;
}

let count = 0;

export async function openMachine(config: Partial<NetworkConfig> = {}): Promise<Machine> {
  const directory = mkdtempSync(join(tmpdir(), "berth-network-"));
  const tag = `t${(process.pid % 1296).toString(36)}${(count++).toString(36)}`;
  const full = { tag, bridge: `bt${tag}0`, execRoot: directory, ...config };
  const db = openDb(join(directory, "db"), [...eventsMigrations, ...networkMigrations]);
  const events = createEvents(db);
  let threads = createWorkers({ size: 1, niceness: 0 });
  let held: (() => void)[] = [];
  let life = new AbortController();
  const making = new Set<Promise<void>>();
  const errors: string[] = [];
  const open = () => {
    life = new AbortController();
    return openNetworks({
      db,
      host: mortalHost({ alive: life.signal, hold: (release) => held.push(release), making }),
      events,
      log: { ...nullLog, error: (message) => void errors.push(message) },
      config: full,
      threads: mortal.over(threads),
    });
  };
  const mortal = new Mortal(`names ${directory}/netns/+names`);
  const networks = await open().catch((err) => {
    db[Symbol.dispose]();
    rmSync(directory, { recursive: true });
    throw err;
  });
  const machine: Machine = {
    networks,
    db,
    config: full,
    errors,
    restart: async (live) => {
      life.abort();
      for (const release of held) release();
      held = [];
      await Promise.allSettled(making);
      await threads[Symbol.asyncDispose]();
      threads = createWorkers({ size: 1, niceness: 0 });
      machine.networks = await open();
      await machine.networks.recover(new Set(live));
    },
    crashResolver: () => mortal.crash(),
    events: () => storedEvents(events, db),
    end: async () => {
      await machine.networks.recover(new Set());
      await machine.networks.shutdown();
      await threads[Symbol.asyncDispose]();
      db[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    },
  };
  await machine.networks.recover(new Set());
  return machine;
}

interface Life {
  readonly alive: AbortSignal;
  /** Is told how to end what ends with a process. */
  readonly hold: (release: () => void) => void;
  /** What was begun. */
  readonly making: Set<Promise<void>>;
}

/** The kernel's part. A daemon that was killed makes nothing more; what it began is awaited, since its process ends before the next starts. */
function mortalHost({ alive, hold, making }: Life): NetworkHost {
  const processes = createProcesses();
  const net = createNet(processes);
  const held = <T extends Disposable>(thing: T): T => {
    hold(() => thing[Symbol.dispose]());
    return thing;
  };
  const run: typeof processes.run = async (argv, options) => {
    alive.throwIfAborted();
    return await processes.run(argv, options);
  };
  const createNamespace = async (path: string, owner?: string) => {
    alive.throwIfAborted();
    const made = net.createNamespace(path, owner).finally(() => making.delete(made));
    making.add(made);
    await made;
  };
  const watchRuleset: Net["watchRuleset"] = async (watcher) => {
    alive.throwIfAborted();
    return held(await net.watchRuleset(watcher));
  };
  const portGroup = () => held(net.portGroup());
  return { processes: { run }, net: { ...net, createNamespace, watchRuleset, portGroup } };
}

export async function run(
  argv: readonly string[],
  stdin?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return await createProcesses().run(argv, stdin === undefined ? {} : { stdin });
}

/** Runs a program of busybox inside a sandbox. */
export function inside(machine: Machine, holder: string, ...argv: string[]) {
  return run(["nsenter", `--net=${machine.config.execRoot}/netns/${holder}`, "/bin/busybox", ...argv]);
}

/** A server in a sandbox that answers with what it is sent; listens when this resolves. */
export async function echoServer(
  machine: Machine,
  at: { holder: string; protocol: "tcp" | "udp"; port: number; six?: boolean },
): Promise<Disposable> {
  const hostname = at.six ? "::" : "0.0.0.0";
  const echo =
    at.protocol === "tcp"
      ? `Bun.listen({ hostname: "${hostname}", port: ${at.port}, socket: { data: (s, d) => void s.write(d) } })`
      : `await Bun.udpSocket({ hostname: "${hostname}", port: ${at.port}, socket: { data: (s, d, p, a) => void s.send(d, p, a) } })`;
  const namespace = `--net=${machine.config.execRoot}/netns/${at.holder}`;
  const argv = ["nsenter", namespace, process.execPath, "-e", `${echo}; process.stdout.write("listening")`];
  const child = createProcesses().spawn(argv, { stdio: ["ignore", "pipe", "ignore"] });
  for await (const _ of child.pipes.get(1) ?? []) break;
  return { [Symbol.dispose]: () => child.kill(9) };
}

/** Polls until it is so; fails after five seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries > 250) throw new Error("Waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What a TCP echo server answers, or the error's code. */
export async function tcpEcho(hostname: string, port: number, text = "hello"): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve("timeout"), 3000);
  const failed = (_: unknown, error: Error) => resolve((error as NodeJS.ErrnoException).code ?? error.message);
  Bun.connect({
    hostname,
    port,
    socket: {
      open: (socket) => void socket.write(text),
      data: (socket, data) => {
        resolve(data.toString());
        socket.end();
      },
      close: () => resolve("closed"),
      error: failed,
      connectError: failed,
    },
  }).catch((error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return await promise.finally(() => clearTimeout(timer));
}

/** Asks again every 200 ms, from one socket, so from one flow; undefined when nothing came back in `tries`. */
export async function udpEcho(hostname: string, port: number, tries = 5): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = await Bun.udpSocket({
    hostname: hostname.includes(":") ? "::" : "0.0.0.0",
    socket: { data: (_, data) => resolve(data.toString()), error: () => undefined },
  });
  const timer = setInterval(() => (tries-- > 0 ? socket.send("hello", port, hostname) : resolve(undefined)), 200);
  socket.send("hello", port, hostname);
  return await promise.finally(() => {
    clearInterval(timer);
    socket.close();
  });
}

/** Whether this kernel has links of a kind (not all are built with macvlan, ipvlan, VLANs). */
export function kernelHas(type: string): boolean {
  const { stderr } = Bun.spawnSync(["ip", "link", "add", "name", "berth-probe", "type", type]);
  return !/Unknown device type|not supported/.test(stderr.toString());
}

/** A link of the host that is nobody's and swallows all; gone when disposed. */
export async function nobodysLink(name: string): Promise<AsyncDisposable> {
  await run(["sh", "-ec", `ip link add ${name} type dummy || ip link add ${name} type ifb; ip link set ${name} up`]);
  return { [Symbol.asyncDispose]: async () => void (await run(["ip", "link", "del", name])) };
}

/** All that the kernel has under this machine's names. */
export async function leftovers(machine: Machine): Promise<string[]> {
  const { tag, bridge, execRoot } = machine.config;
  const links = (await run(["ip", "-br", "link"])).stdout.split("\n").map((line) => line.split(/[@\s]/)[0] ?? "");
  const tables = (await run(["nft", "list", "tables"])).stdout.split("\n");
  const mounts = await Bun.file("/proc/self/mountinfo").text();
  return [
    ...links.filter((name) => name.includes(`${tag}-`) || name === bridge),
    ...tables.filter((line) => line.endsWith(`berth_${tag}`)),
    ...mounts.split("\n").filter((line) => line.includes(execRoot)),
  ];
}

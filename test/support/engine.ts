import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { patience, until } from "./until.ts";

/** The program under test: the one that users get, or the one that BERTH names. */
export const berth = process.env["BERTH"] ?? new URL("../../dist/berth", import.meta.url).pathname;

export interface Engine extends AsyncDisposable {
  readonly host: string;
  readonly directory: string;
  readonly pid: number;
  /** Ends it (SIGTERM unless told otherwise) and waits; containers go on running. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<number>;
  /** Starts it again on the same roots. */
  start(): Promise<void>;
  log(): Promise<string>;
  /** What the names of everything carry that it makes in the kernel. */
  tag(): Promise<string>;
  /** Runs one command line of the docker CLI, and of Berth's own. */
  docker(...argv: string[]): Promise<CliResult>;
  berth(...argv: string[]): Promise<CliResult>;
  /** A command that must succeed, of docker's CLI or, where that is an old one, of Berth's: its standard output without the white space around it. Throws with what it wrote. */
  ok(...argv: string[]): Promise<string>;
}

/**
 * A daemon on roots of its own, ready to answer. Disposing it removes its containers and everything that it keeps.
 * `through` is a program that becomes the daemon, such as nsenter.
 */
export async function startEngine(flags: readonly string[] = [], through: readonly string[] = []): Promise<Engine> {
  const directory = mkdtempSync(join(tmpdir(), "berth-e2e-"));
  chmodSync(directory, 0o711); // as /run is, for root in a user namespace
  const host = `unix://${directory}/berth.sock`;
  const argv = [...through, berth, "daemon", "--host", host, ...rootFlags(directory), ...flags];
  let child: Bun.Subprocess | undefined;
  const start = async () => {
    const log = openSync(`${directory}/log`, "a");
    child = Bun.spawn(argv, { stdio: ["ignore", "ignore", log] });
    closeSync(log);
    await untilAnswers(host, child);
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => {
    child?.kill(signal);
    return (await child?.exited) ?? 0;
  };
  await start();
  const docker = (...args: string[]) => cli("docker", host, args);
  return {
    ...{ host, directory, start, stop, docker },
    get pid() {
      return child?.pid ?? 0;
    },
    log: () => Bun.file(`${directory}/log`).text(),
    tag: async () => expectOk(bridgeName, await docker(...bridgeName)).replace("berth", ""),
    berth: (...args) => cli("berth", host, args),
    ok: async (...args) => expectOk(args, await cli(dockerMajor < 23 ? "berth" : "docker", host, args)),
    async [Symbol.asyncDispose]() {
      if (!existsSync(directory)) return;
      if (child?.exitCode !== null || child.signalCode !== null) await start();
      await removeContainers(host);
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const bridgeName = ["network", "inspect", "bridge", "-f", '{{index .Options "com.docker.network.bridge.name"}}'];

/** Every path that a daemon would otherwise share with others, below one directory. */
export function rootFlags(directory: string): string[] {
  const config = `${directory}/daemon.json`;
  mkdirSync(directory, { recursive: true });
  writeFileSync(config, "{}");
  const roots = ["--data-root", `${directory}/data`, "--exec-root", `${directory}/exec`];
  return [...roots, "--pidfile", `${directory}/pid`, "--config-file", config];
}

async function untilAnswers(host: string, child: Bun.Subprocess): Promise<void> {
  await until("berth daemon answers", async () => {
    if (child.exitCode !== null) throw new Error(`berth daemon ended with ${child.exitCode}`);
    const answer = await fetch("http://berth/_ping", { unix: host.replace("unix://", "") }).catch(() => undefined);
    return answer?.ok;
  });
}

async function removeContainers(host: string): Promise<void> {
  const { stdout } = await cli("berth", host, ["ps", "-aq"]);
  const ids = stdout.split("\n").filter((id) => id !== "");
  if (ids.length > 0) await cli("berth", host, ["rm", "-f", "-v", ...ids]);
}

/** Debian 12's CLI is 20: it has not all the options of today, and sets a terminal's size late. */
export const dockerMajor = Number(/\d+/.exec(Bun.spawnSync(["docker", "--version"]).stdout.toString())?.[0]);

/** Such a CLI lacks what some tests are about. */
export const isOld = (which: "docker" | "berth") => which === "docker" && dockerMajor < 23;

/** What a CLI named `who` says first, to be compared with the other's; nothing beside the CLI 20, which has words of its own. */
export function firstLine(stderr: string, who: string): string {
  const [line = ""] = stderr.replaceAll(new RegExp(`\\b${who}\\b`, "g"), "berth").split("\n");
  return dockerMajor < 23 ? "" : line;
}

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly stdin?: string | Uint8Array;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function expectOk(argv: readonly string[], { code, stdout, stderr }: CliResult): string {
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit status ${code}\n${stdout}${stderr}`);
  return stdout.trim();
}

export function cliEnv(host: string): Record<string, string | undefined> {
  const own = { DOCKER_HOST: host, BERTH_HOST: host, DOCKER_BUILDKIT: "0", DOCKER_CLI_HINTS: "false" };
  return { ...process.env, ...own, DOCKER_CONFIG: "/nonexistent" };
}

/** Runs one command line of Berth's own CLI or of the real docker CLI against an engine. */
export async function cli(
  which: "berth" | "docker",
  host: string,
  argv: readonly string[],
  options: CliOptions = {},
): Promise<CliResult> {
  const child = Bun.spawn([which === "berth" ? berth : "docker", ...argv], {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    timeout: 30_000 * patience,
    killSignal: "SIGKILL",
    ...(options.cwd && { cwd: options.cwd }),
    env: { ...cliEnv(host), ...options.env },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

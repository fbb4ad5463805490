import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The program under test: the one that users get. */
export const berth = new URL("../../dist/berth", import.meta.url).pathname;

export interface Engine extends AsyncDisposable {
  readonly host: string;
  readonly directory: string;
  readonly pid: number;
  /** Ends it (SIGTERM unless told otherwise) and waits; containers go on running. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<number>;
  /** Starts it again on the same roots. */
  start(): Promise<void>;
  log(): Promise<string>;
}

/** A daemon on roots of its own, ready to answer. Disposing it removes its containers and everything that it keeps. */
export async function startEngine(flags: readonly string[] = []): Promise<Engine> {
  const directory = mkdtempSync(join(tmpdir(), "berth-e2e-"));
  const host = `unix://${directory}/berth.sock`;
  const argv = [
    berth,
    "daemon",
    "--host",
    host,
    "--data-root",
    `${directory}/data`,
    "--exec-root",
    `${directory}/exec`,
  ];
  argv.push("--pidfile", `${directory}/pid`, "--config-file", await emptyConfig(directory), ...flags);
  let child: Bun.Subprocess | undefined;
  const start = async () => {
    child = Bun.spawn(argv, { stdio: ["ignore", "ignore", Bun.file(`${directory}/log`)] });
    await untilAnswers(host, child);
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => {
    child?.kill(signal);
    return (await child?.exited) ?? 0;
  };
  await start();
  return {
    host,
    directory,
    get pid() {
      return child?.pid ?? 0;
    },
    start,
    stop,
    log: () => Bun.file(`${directory}/log`).text(),
    async [Symbol.asyncDispose]() {
      await removeContainers(host);
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function emptyConfig(directory: string): Promise<string> {
  const path = `${directory}/daemon.json`;
  await Bun.write(path, "{}");
  return path;
}

async function untilAnswers(host: string, child: Bun.Subprocess): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`berth daemon ended with ${child.exitCode}`);
    const answer = await fetch("http://berth/_ping", { unix: host.replace("unix://", "") }).catch(() => undefined);
    if (answer?.ok) return;
    await Bun.sleep(20);
  }
  throw new Error("berth daemon did not answer within 60 s");
}

async function removeContainers(host: string): Promise<void> {
  const { stdout } = await cli("berth", host, ["ps", "-aq"]);
  const ids = stdout.split("\n").filter((id) => id !== "");
  if (ids.length > 0) await cli("berth", host, ["rm", "-f", "-v", ...ids]);
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
    ...(options.cwd && { cwd: options.cwd }),
    env: {
      ...process.env,
      DOCKER_HOST: host,
      BERTH_HOST: host,
      DOCKER_BUILDKIT: "0",
      DOCKER_CLI_HINTS: "false",
      ...options.env,
    },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

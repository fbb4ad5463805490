import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { type CliResult, cliEnv, type Engine } from "./engine.ts";
import { patience } from "./until.ts";

const plugins = new URL("../../.cache/docker/cli-plugins", import.meta.url).pathname;

export interface PluginOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array;
  /** The leader of a process group, which a signal can reach as a terminal's ^C does. */
  readonly leads?: boolean;
}

export interface PluginCli {
  start(argv: readonly string[], options: PluginOptions): Bun.Subprocess<"ignore" | Uint8Array, "pipe", "pipe">;
  run(argv: readonly string[], options: PluginOptions): Promise<CliResult>;
}

/** docker's CLI with the buildx and compose that `./dev test` fetches, and a configuration of its own. Throws without them. */
export function pluginCli(engine: Pick<Engine, "directory" | "host">): PluginCli {
  for (const name of ["docker-buildx", "docker-compose"]) {
    if (!existsSync(`${plugins}/${name}`)) throw new Error(`${plugins}/${name} is not there: ./dev test fetches it`);
  }
  const config = `${engine.directory}/docker`;
  mkdirSync(config, { recursive: true });
  if (!existsSync(`${config}/cli-plugins`)) symlinkSync(plugins, `${config}/cli-plugins`);
  const own = { DOCKER_CONFIG: config, BUILDX_CONFIG: `${config}/buildx`, DOCKER_BUILDKIT: "1" };
  const start: PluginCli["start"] = (argv, { cwd, env, stdin, leads = false }) =>
    Bun.spawn(["docker", ...argv], {
      ...{ stdin: stdin ?? "ignore", stdout: "pipe", stderr: "pipe", cwd, detached: leads },
      ...{ timeout: 60_000 * patience, killSignal: "SIGKILL" },
      env: { ...cliEnv(engine.host), ...own, ...env },
    });
  return {
    start,
    run: async (argv, options) => {
      const child = start(argv, options);
      const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
      const [stdout, stderr, code] = await Promise.all([...texts, child.exited]);
      return { code, stdout, stderr };
    },
  };
}

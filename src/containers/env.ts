import type { ContainerConfig } from "../wire/mod.ts";
import { mergeEnv } from "./config.ts";

/** What Docker puts in front of a container's own variables. */
export const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface EnvInput {
  readonly config: Pick<ContainerConfig, "Env" | "Tty">;
  readonly hostname: string;
  readonly home: string;
  /** What links tell about other containers. */
  readonly linked?: readonly string[];
  /** An exec's own variables. */
  readonly extra?: readonly string[];
  /** Whether this process has a terminal, if that is not the container's own business (an exec). */
  readonly tty?: boolean;
}

/**
 * The environment of a process: PATH, HOSTNAME, TERM with a terminal, what links tell, then the container's, then an exec's; HOME is the
 * user's unless somebody set it. An entry without "=" takes the variable away (`docker run -e NAME` with NAME unset).
 */
export function environment(input: EnvInput): readonly string[] {
  const { config, hostname, home, linked = [], extra = [], tty = config.Tty } = input;
  const base = [defaultPath, `HOSTNAME=${hostname}`, ...(tty ? ["TERM=xterm"] : []), ...linked];
  const merged = mergeEnv(mergeEnv(base, config.Env), extra).filter((entry) => entry.includes("="));
  return merged.some((entry) => entry.startsWith("HOME=")) ? merged : [...merged, `HOME=${home}`];
}

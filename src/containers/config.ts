import { EngineError } from "../errors/mod.ts";
import type { ImageRunConfig } from "../oci/mod.ts";
import type { ContainerConfig, EmptyObject } from "../wire/mod.ts";

/**
 * A container's configuration with its image's merged in, as moby's `runconfig.Merge` does it: what the user gave wins,
 * lists of variables, ports, volumes and labels add up, and an entry point of the user's own discards the image's command.
 * Throws "invalid" when nothing is left to run.
 */
export function mergeConfig(user: ContainerConfig, image: ImageRunConfig): ContainerConfig {
  const ports = { ...empty(image.ExposedPorts), ...user.ExposedPorts };
  const volumes = { ...empty(image.Volumes), ...user.Volumes };
  const stopSignal = user.StopSignal || image.StopSignal;
  const shell = user.Shell ?? image.Shell;
  const health = mergeHealth(user, image);
  const { Entrypoint, Cmd } = commandOf(user, image);
  const merged: ContainerConfig = {
    ...user,
    User: user.User || image.User || "",
    Env: mergeEnv(image.Env ?? [], user.Env),
    Entrypoint,
    Cmd,
    Volumes: Object.keys(volumes).length > 0 ? volumes : null,
    WorkingDir: user.WorkingDir || image.WorkingDir || "",
    Labels: { ...image.Labels, ...user.Labels },
    OnBuild: null,
    ...(Object.keys(ports).length > 0 && { ExposedPorts: ports }),
    ...(stopSignal && { StopSignal: stopSignal }),
    ...(shell && { Shell: shell }),
    ...(health && { Healthcheck: health }),
  };
  if (argvOf(merged).length === 0) throw new EngineError("invalid", "no command specified");
  return merged;
}

/** What is executed: the entry point followed by the command. */
export function argvOf(config: Pick<ContainerConfig, "Entrypoint" | "Cmd">): readonly string[] {
  return [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
}

/** Variables of both; where both have one, the second's. The order of first mention is kept. */
export function mergeEnv(base: readonly string[], over: readonly string[]): readonly string[] {
  const found = new Map<string, string>();
  for (const entry of [...base, ...over]) found.set(keyOf(entry), entry);
  return [...found.values()];
}

/** `[""]` is how the command line says "no entry point". */
function commandOf(user: ContainerConfig, image: ImageRunConfig): Pick<ContainerConfig, "Entrypoint" | "Cmd"> {
  const given = user.Entrypoint;
  if (given && given.length > 0) {
    const cleared = given.length === 1 && given[0] === "";
    return { Entrypoint: cleared ? null : given, Cmd: user.Cmd };
  }
  const cmd = user.Cmd && user.Cmd.length > 0 ? user.Cmd : (image.Cmd ?? null);
  return { Entrypoint: image.Entrypoint ?? null, Cmd: cmd };
}

function mergeHealth(user: ContainerConfig, image: ImageRunConfig): ContainerConfig["Healthcheck"] {
  const own = user.Healthcheck;
  if (!own) return image.Healthcheck;
  if (own.Test && own.Test.length > 0) return own;
  const inherited = image.Healthcheck ?? {};
  const set = Object.entries(own).filter(([, value]) => typeof value === "number" && value > 0);
  return { ...inherited, ...Object.fromEntries(set) };
}

function keyOf(entry: string): string {
  const at = entry.indexOf("=");
  return at < 0 ? entry : entry.slice(0, at);
}

function empty(keys: Readonly<Record<string, unknown>> | null | undefined): Record<string, EmptyObject> {
  return Object.fromEntries(Object.keys(keys ?? {}).map((key) => [key, {}]));
}

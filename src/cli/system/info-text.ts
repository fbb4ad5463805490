import { binarySize } from "../output/units.ts";

/** What of `GET /info` people are shown; an engine may leave out any of it. */
export interface SystemInfo {
  readonly ID?: string;
  readonly Name?: string;
  readonly ServerVersion?: string;
  readonly Containers?: number;
  readonly ContainersRunning?: number;
  readonly ContainersPaused?: number;
  readonly ContainersStopped?: number;
  readonly Images?: number;
  readonly Driver?: string;
  readonly DriverStatus?: readonly (readonly [string, string])[] | null;
  readonly LoggingDriver?: string;
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
  readonly Plugins?: Readonly<Record<string, readonly string[] | null>> | null;
  readonly Swarm?: { readonly LocalNodeState?: string };
  readonly Runtimes?: Readonly<Record<string, unknown>>;
  readonly DefaultRuntime?: string;
  readonly SecurityOptions?: readonly string[] | null;
  readonly KernelVersion?: string;
  readonly OperatingSystem?: string;
  readonly OSType?: string;
  readonly Architecture?: string;
  readonly NCPU?: number;
  readonly MemTotal?: number;
  readonly DockerRootDir?: string;
  readonly Debug?: boolean;
  readonly HttpProxy?: string;
  readonly HttpsProxy?: string;
  readonly NoProxy?: string;
  readonly Labels?: readonly string[] | null;
  readonly ExperimentalBuild?: boolean;
  readonly RegistryConfig?: {
    readonly InsecureRegistryCIDRs?: readonly string[] | null;
    readonly IndexConfigs?: Readonly<Record<string, { readonly Secure?: boolean }>> | null;
    readonly Mirrors?: readonly string[] | null;
  };
  readonly LiveRestoreEnabled?: boolean;
  readonly Warnings?: readonly string[] | null;
}

/** The same lines in the same order as `docker info`, which scripts read. */
export function infoText(info: SystemInfo): string {
  const rows = [...counts(info), ...storage(info), ...plugins(info), ...execution(info), ...host(info), ...rest(info)];
  return `Server:\n${rows.map((row) => ` ${row}\n`).join("")}\n`;
}

/** `WARNING: …` lines, which docker writes to standard error. */
export function warningsOf({ Warnings }: SystemInfo): readonly string[] {
  return Warnings ?? [];
}

function line(name: string, value: string | number | undefined): string[] {
  return value === undefined || value === "" ? [] : [`${name}: ${value}`];
}

function counts(info: SystemInfo): string[] {
  return [
    ...line("Containers", info.Containers ?? 0),
    ...line(" Running", info.ContainersRunning ?? 0),
    ...line(" Paused", info.ContainersPaused ?? 0),
    ...line(" Stopped", info.ContainersStopped ?? 0),
    ...line("Images", info.Images ?? 0),
    ...line("Server Version", info.ServerVersion),
  ];
}

function storage(info: SystemInfo): string[] {
  return [
    ...line("Storage Driver", info.Driver),
    ...(info.DriverStatus ?? []).flatMap(([name, value]) => line(` ${name}`, value)),
    ...line("Logging Driver", info.LoggingDriver),
    ...line("Cgroup Driver", info.CgroupDriver),
    ...line("Cgroup Version", info.CgroupVersion),
  ];
}

function plugins({ Plugins, Swarm }: SystemInfo): string[] {
  const kinds = ["Volume", "Network", "Log"].flatMap((kind) => line(` ${kind}`, Plugins?.[kind]?.join(" ")));
  return [...(kinds.length > 0 ? ["Plugins:", ...kinds] : []), ...line("Swarm", Swarm?.LocalNodeState)];
}

function execution(info: SystemInfo): string[] {
  const options = (info.SecurityOptions ?? []).map(securityText);
  return [
    ...line(
      "Runtimes",
      Object.keys(info.Runtimes ?? {})
        .sort()
        .join(" "),
    ),
    ...line("Default Runtime", info.DefaultRuntime),
    ...(options.length > 0 ? ["Security Options:", ...options.flat()] : []),
  ];
}

/** `name=seccomp,profile=builtin` as a name and an indented line for each setting. */
function securityText(option: string): string[] {
  const [name = "", ...settings] = option.split(",");
  const shown = settings.map((one) => one.split("=")).map(([key = "", value = ""]) => `  ${title(key)}: ${value}`);
  return [` ${name.replace(/^name=/, "")}`, ...shown];
}

function title(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function host(info: SystemInfo): string[] {
  return [
    ...line("Kernel Version", info.KernelVersion),
    ...line("Operating System", info.OperatingSystem),
    ...line("OSType", info.OSType),
    ...line("Architecture", info.Architecture),
    ...line("CPUs", info.NCPU),
    ...line("Total Memory", info.MemTotal === undefined ? undefined : binarySize(info.MemTotal)),
    ...line("Name", info.Name),
    ...line("ID", info.ID),
    ...line("Docker Root Dir", info.DockerRootDir),
    ...line("Debug Mode", String(info.Debug ?? false)),
    ...line("HTTP Proxy", info.HttpProxy),
    ...line("HTTPS Proxy", info.HttpsProxy),
    ...line("No Proxy", info.NoProxy),
  ];
}

function rest(info: SystemInfo): string[] {
  const { InsecureRegistryCIDRs, IndexConfigs, Mirrors } = info.RegistryConfig ?? {};
  const insecure = [
    ...Object.entries(IndexConfigs ?? {}).flatMap(([name, { Secure }]) => (Secure === false ? [name] : [])),
    ...(InsecureRegistryCIDRs ?? []),
  ];
  return [
    ...section("Labels", info.Labels),
    ...line("Experimental", String(info.ExperimentalBuild ?? false)),
    ...section("Insecure Registries", [...new Set(insecure)]),
    ...section("Registry Mirrors", Mirrors),
    ...line("Live Restore Enabled", String(info.LiveRestoreEnabled ?? false)),
  ];
}

function section(name: string, values: readonly string[] | null | undefined): string[] {
  return values?.length ? [`${name}:`, ...values.map((one) => ` ${one}`)] : [];
}

import { defaultMaskedPaths, defaultReadonlyPaths } from "../runtime/mod.ts";
import type { ContainerInspect, HostConfig } from "../wire/mod.ts";
import { argvOf } from "./config.ts";
import type { Context } from "./context.ts";
import { networkSettings } from "./endpoints.ts";
import { shownLinks } from "./links/links.ts";
import { mountPoints } from "./mount-points.ts";
import { pathsOf, snapshotKey } from "./paths.ts";
import { resolve } from "./refs.ts";
import { apparmorOf } from "./security.ts";
import { sizes } from "./sizes.ts";
import { stateOf } from "./status.ts";

/** Reads rows, takes no lock. */
export async function inspect(ctx: Context, ref: string, size: boolean): Promise<ContainerInspect> {
  const row = resolve(ctx.table, ref);
  const { limits } = ctx.config;
  const paths = pathsOf(ctx.config, row.id);
  const [Path = "", ...Args] = argvOf(row.config);
  const execIds = ctx.execs.running(row.id);
  const image = row.imageId === "" ? undefined : ctx.images.find(row.imageId);
  return {
    Id: row.id,
    Created: row.created,
    Path,
    Args,
    State: stateOf(row, ctx.health.of(row.id)),
    Image: row.imageId,
    ResolvConfPath: paths.resolvConf,
    HostnamePath: paths.hostname,
    HostsPath: paths.hosts,
    LogPath: ["none", "journald"].includes(row.hostConfig.LogConfig.Type) ? "" : paths.log,
    Name: `/${row.name}`,
    RestartCount: row.restartCount,
    Driver: "overlay2",
    Platform: image?.config.os ?? "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: apparmorOf(row.hostConfig, limits).apparmorProfile ?? "",
    ExecIDs: execIds.length > 0 ? execIds : null,
    HostConfig: { ...shownHostConfig(row.hostConfig), Links: shownLinks(ctx.table, row) },
    GraphDriver: { Name: "overlay2", Data: graphData(ctx, row.id) },
    ...(size && (await sizes(ctx, row))),
    Mounts: mountPoints(row),
    Config: row.config,
    NetworkSettings: networkSettings(ctx, row),
  };
}

/** dockerd shows these with Linux containers, too. */
const windowsLimits = { CpuCount: 0, CpuPercent: 0, IOMaximumIOps: 0, IOMaximumBandwidth: 0 } as const;

/** A privileged container has none of the default paths. */
function shownHostConfig(host: HostConfig): HostConfig {
  const [masked, readonly] = host.Privileged ? [null, null] : [defaultMaskedPaths, defaultReadonlyPaths];
  return {
    ...windowsLimits,
    ...host,
    MaskedPaths: host.MaskedPaths ?? masked,
    ReadonlyPaths: host.ReadonlyPaths ?? readonly,
  };
}

/** UpperDir as tools expect it; the lower ones are the snapshot store's own business. */
function graphData(ctx: Context, id: string): Readonly<Record<string, string>> {
  if (!ctx.snapshots.info(snapshotKey(id))) return {};
  return { MergedDir: pathsOf(ctx.config, id).rootfs, UpperDir: ctx.snapshots.directory(snapshotKey(id)) };
}

import { randomBytes } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { hostname as hostName } from "node:os";
import { EngineError, messageOf } from "../errors/mod.ts";
import type { Image } from "../images/mod.ts";
import type { ContainerConfig, ContainerCreateAnswer, HostConfig, Ulimit } from "../wire/mod.ts";
import { instant } from "./clock.ts";
import { mergeConfig } from "./config.ts";
import type { CreateContainer } from "./containers.ts";
import type { Context } from "./context.ts";
import { publishing } from "./event.ts";
import { healthAction } from "./health/on-failure.ts";
import { healthWarnings } from "./health/plan.ts";
import { settleLinks } from "./links/settle.ts";
import { settleLogConfig } from "./logs/options.ts";
import { networkModeOf } from "./modes.ts";
import { planMounts } from "./mount-plan.ts";
import { checkBindSources, sourceWarnings } from "./mounts/bind-source.ts";
import { acquireVolumes, copyUp, inheritedMounts, mountRootfs, settleMounts, unmountRootfs } from "./mounts.ts";
import { checkName, madeUpName } from "./names.ts";
import { firewallWarnings, networkName, settleEndpoints } from "./network.ts";
import { pathsOf, snapshotKey } from "./paths.ts";
import { resolveOther } from "./refs.ts";
import { releaseVolumes } from "./remove.ts";
import { runtimeName } from "./runtime-name.ts";
import { swapOf } from "./spec.ts";
import type { Row } from "./table.ts";
import { transition } from "./transition.ts";
import { settleAll } from "./undo.ts";
import { checkUserns, settleUserns } from "./userns.ts";
import { checkConfig, validate } from "./validate.ts";

/** Makes a container that can be started: its row, its layer, its volumes. Nothing is left when it fails. */
export async function create(ctx: Context, request: CreateContainer): Promise<ContainerCreateAnswer> {
  const { hostConfig, warnings } = validate(request.body, ctx.config.limits);
  checkUserns(ctx.userns, hostConfig);
  await ctx.runtime.require(runtimeName(hostConfig.Runtime || ctx.runtime.info.name));
  const name = request.name ? checkName(request.name) : madeUpName(ctx.table);
  const image = findImage(ctx, request);
  const row = newRow(ctx, { request: { ...request, body: { ...request.body, hostConfig } }, name, image });
  healthAction(row.config, row.hostConfig);
  await checkBindSources(row.mounts);
  const [portsSaid] = await settleAll([
    firewallWarnings(ctx, row), // beside the rest, which takes longer
    ctx.locks.run(row.id, () => build(ctx, { row, image })),
  ]);
  const later = [...healthWarnings(row.config.Healthcheck), ...portsSaid, ...(await sourceWarnings(row))];
  return { Id: row.id, Warnings: [...warnings, ...later] };
}

async function build(ctx: Context, { row, image }: { row: Row; image: Image }): Promise<void> {
  await using undo = new AsyncDisposableStack();
  ctx.table.insert(row);
  undo.defer(() => takeBack(ctx, row));
  const [, mounts] = await settleAll([
    mkdir(pathsOf(ctx.config, row.id).home, { recursive: true, mode: 0o710 }),
    acquireVolumes(ctx, row),
    prepareLayer(ctx, { row, image }),
  ]);
  await fillVolumes(ctx, { ...row, mounts });
  const phase = transition(row.phase, "prepared", row);
  ctx.table.update(row.id, { phase, mounts }, publishing(ctx, { action: "create" }));
  undo.move();
}

/** After a failure, whose reason is the one to tell. What cannot be taken back leaves a dead container, whose removal tries again. */
async function takeBack(ctx: Context, row: Row): Promise<void> {
  try {
    await discard(ctx, row);
    ctx.table.delete(row.id);
  } catch (err) {
    ctx.log.error("could not take back a container's creation", { container: row.id, error: messageOf(err) });
    ctx.table.update(row.id, { phase: "dead", error: messageOf(err) });
  }
}

/** Takes back whatever of a container's creation is there. */
export async function discard(ctx: Context, row: Row): Promise<void> {
  await unmountRootfs(ctx, row.id);
  await releaseVolumes(ctx, { row, anonymous: true });
  await ctx.snapshots.remove(snapshotKey(row.id));
  await rm(pathsOf(ctx.config, row.id).home, { recursive: true, force: true });
}

async function prepareLayer(ctx: Context, { row, image }: { row: Row; image: Image }): Promise<void> {
  const parent = await ctx.images.rootfs(image);
  await ctx.snapshots.prepare(snapshotKey(row.id), parent);
}

async function fillVolumes(ctx: Context, row: Row): Promise<void> {
  if (!row.mounts.some((entry) => entry.copyUp)) return;
  try {
    await mountRootfs(ctx, row.id);
    await copyUp(ctx, row);
  } finally {
    await unmountRootfs(ctx, row.id);
  }
}

function findImage(ctx: Context, { body, platform }: CreateContainer): Image {
  if (body.config.Image === "") throw new EngineError("invalid", "no image was given to create the container from");
  const image = ctx.images.get(body.config.Image);
  const [os, architecture] = (platform ?? "").split("/");
  const { config } = image;
  const fits = (!os || os === config.os) && (!architecture || architecture === config.architecture);
  if (fits) return image;
  const what = `image with reference ${body.config.Image} was found but does not provide the specified platform`;
  throw new EngineError("not-found", `${what} (${platform})`);
}

function newRow(ctx: Context, { request, name, image }: { request: CreateContainer; name: string; image: Image }): Row {
  const id = randomBytes(32).toString("hex");
  const hostConfig = settleHostConfig(ctx, request.body.hostConfig);
  const config = withHostname(ctx, { id, config: mergeConfig(request.body.config, image.run), hostConfig });
  checkConfig(config);
  const inherited = inheritedMounts(ctx, hostConfig.VolumesFrom ?? []);
  return {
    id,
    name,
    imageId: image.id,
    created: instant(),
    config,
    hostConfig,
    endpoints: settleEndpoints(ctx, {
      hostConfig: { ...hostConfig, Links: request.body.hostConfig.Links },
      endpoints: request.body.endpoints,
    }),
    mounts: settleMounts(ctx, planMounts({ hostConfig, volumes: config.Volumes, inherited })),
    phase: "creating",
    pid: 0,
    exitCode: 0,
    error: "",
    oomKilled: false,
    started: "",
    finished: "",
    restartCount: 0,
    stoppedByUser: false,
    chosenPorts: {},
  };
}

/** The defaults that `inspect` shows although nobody wrote them. */
function settleHostConfig(ctx: Context, host: HostConfig): HostConfig {
  const mode = networkModeOf(host.NetworkMode);
  const NetworkMode =
    mode.kind === "container"
      ? `container:${resolveOther(ctx.table, mode.ref).id}`
      : mode.kind === "network"
        ? networkName(ctx, mode.name)
        : host.NetworkMode;
  const { limits, defaults = {} } = ctx.config;
  const v2 = limits.cgroupVersion === "v2";
  const cgroupns = host.Privileged && !v2 ? "host" : (defaults.cgroupnsMode ?? (v2 ? "private" : "host"));
  return {
    ...host,
    NetworkMode,
    Links: settleLinks(ctx.table, { ...host, NetworkMode }),
    LogConfig: settleLogConfig(host.LogConfig, ctx.config),
    RestartPolicy: { MaximumRetryCount: 0, ...host.RestartPolicy, Name: host.RestartPolicy.Name || "no" },
    IpcMode: host.IpcMode || defaults.ipcMode || "private",
    UsernsMode: settleUserns(ctx, host.UsernsMode),
    CgroupnsMode: host.CgroupnsMode || cgroupns,
    ShmSize: host.ShmSize || ctx.config.defaultShmSize,
    MemorySwappiness: host.MemorySwappiness === -1 ? null : host.MemorySwappiness,
    PidsLimit: (host.PidsLimit ?? 0) > 0 ? host.PidsLimit : null,
    Ulimits: withDefaults(host.Ulimits, defaults.ulimits),
    Runtime: host.Runtime || ctx.runtime.info.name,
    MemorySwap: swapOf(host),
  };
}

function withDefaults(asked: HostConfig["Ulimits"], defaults: readonly Ulimit[] = []): HostConfig["Ulimits"] {
  const named = new Set((asked ?? []).map(({ Name }) => Name));
  const rest = defaults.filter(({ Name }) => !named.has(Name));
  return rest.length > 0 ? [...(asked ?? []), ...rest] : asked;
}

/** The short id, unless the user or a namespace that is shared has a word in it. */
function withHostname(
  ctx: Context,
  { id, config, hostConfig }: { id: string; config: ContainerConfig; hostConfig: HostConfig },
): ContainerConfig {
  const mode = networkModeOf(hostConfig.NetworkMode);
  if (mode.kind === "container") {
    const { Hostname, Domainname } = resolveOther(ctx.table, mode.ref).config;
    return { ...config, Hostname, Domainname };
  }
  const shared = mode.kind === "host" || hostConfig.UTSMode === "host";
  return { ...config, Hostname: config.Hostname || (shared ? hostName() : id.slice(0, 12)) };
}

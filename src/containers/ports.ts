import { EngineError } from "../errors/mod.ts";
import type { PortBinding, PortMap, PublishAnswer } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { publishedPorts } from "./endpoints.ts";
import { publishing } from "./event.ts";
import { networkModeOf } from "./modes.ts";
import { firewallWarnings } from "./network.ts";
import { resolve } from "./refs.ts";
import type { Row } from "./table.ts";
import { isLive } from "./transition.ts";
import { checkPorts } from "./validate.ts";

/**
 * Publishes more ports: at once where it runs, and with every start from now on. A port that the engine chose stays the
 * same over restarts. Returns what is published now, with the host's ports and what the host's firewall does to them. Throws
 * "invalid" for malformed ports, "conflict" for a container without a network of its own and for ports that are taken;
 * nothing has changed then.
 */
export async function publishPorts(ctx: Context, ref: string, ports: PortMap): Promise<PublishAnswer> {
  checkPorts({ PortBindings: ports });
  const { id } = resolve(ctx.table, ref);
  const { row, made } = await ctx.locks.run(id, async () => {
    const row = requirePublishing(ctx, id);
    for (const port of Object.keys(ports)) requireNew(row, port, ports[port] ?? []);
    const made = isLive(row.phase) ? await ctx.networks.publish(id, ports) : ports;
    try {
      save(ctx, row, { ports: merged(row.hostConfig.PortBindings, made), action: "publish", changed: made });
    } catch (err) {
      await ctx.networks.unpublish(id, made);
      throw err;
    }
    return { row, made };
  });
  return { Ports: made, Warnings: await firewallWarnings(ctx, row, made) };
}

/** Which of the host's ports is meant; without an address, all addresses that it is published on. */
export interface HostPort {
  readonly port: string;
  readonly protocol: string;
  readonly address?: string;
}

/** Ends a published port: at once, and for later starts. Throws "not-found" when the container does not publish it. */
export async function unpublishPort(ctx: Context, ref: string, wanted: HostPort): Promise<void> {
  const { id } = resolve(ctx.table, ref);
  await ctx.locks.run(id, async () => {
    const row = requirePublishing(ctx, id);
    const live = select(publishedPorts(ctx, row), (binding) => isWanted(binding, wanted), wanted.protocol);
    const stored = select(
      row.hostConfig.PortBindings,
      (binding, port) => means(binding, { port, live, wanted }),
      wanted.protocol,
    );
    if (Object.keys(live).length === 0 && Object.keys(stored).length === 0) {
      const text = `container ${row.name} does not publish ${wanted.address ?? ""}:${wanted.port}/${wanted.protocol}`;
      throw new EngineError("not-found", text.replace(" :", " "));
    }
    save(ctx, row, { ports: without(row.hostConfig.PortBindings, stored), action: "unpublish", changed: live });
    await ctx.networks.unpublish(id, live);
  });
}

function requirePublishing(ctx: Context, id: string): Row {
  const row = resolve(ctx.table, id);
  const gone = row.phase === "removing" || row.phase === "dead";
  if (gone)
    throw new EngineError("conflict", `container ${row.name} is marked for removal: its ports cannot be changed`);
  const { kind } = networkModeOf(row.hostConfig.NetworkMode);
  if (kind === "network") return row;
  const mode = row.hostConfig.NetworkMode;
  throw new EngineError(
    "conflict",
    `container ${row.name} has no network of its own (mode ${mode}): it has no ports to publish`,
  );
}

function requireNew({ name, hostConfig }: Row, port: string, bindings: readonly PortBinding[]): void {
  const had = hostConfig.PortBindings[port] ?? [];
  for (const { HostIp, HostPort } of bindings) {
    if (HostPort === "" || !had.some((one) => one.HostPort === HostPort && one.HostIp === HostIp)) continue;
    throw new EngineError("conflict", `container ${name} publishes ${HostPort} to ${port} already`);
  }
}

interface Saved {
  readonly ports: PortMap;
  readonly action: "publish" | "unpublish";
  readonly changed: PortMap;
}

function save(ctx: Context, row: Row, { ports, action, changed }: Saved): void {
  const exposed = Object.fromEntries(Object.keys(ports).map((port) => [port, {}]));
  const config = { ...row.config, ExposedPorts: { ...row.config.ExposedPorts, ...exposed } };
  const hostConfig = { ...row.hostConfig, PortBindings: ports };
  const text = Object.entries(changed).flatMap(([port, bindings]) =>
    (bindings ?? []).map(({ HostIp, HostPort }) => `${HostIp}:${HostPort}->${port}`),
  );
  ctx.table.update(row.id, { config, hostConfig }, publishing(ctx, { action, attributes: { ports: text.join(",") } }));
}

function isWanted({ HostIp, HostPort }: PortBinding, { port, address }: HostPort): boolean {
  return HostPort === port && (address === undefined || HostIp === address);
}

/** A binding as it was asked for may name no port, or several: it is meant if what came of it is. */
function means(binding: PortBinding, at: { port: string; live: PortMap; wanted: HostPort }): boolean {
  const { wanted, live, port } = at;
  if (wanted.address !== undefined && binding.HostIp !== "" && binding.HostIp !== wanted.address) return false;
  if (binding.HostPort === wanted.port) return true;
  const [first = "", last = first] = binding.HostPort.split("-");
  const within =
    binding.HostPort === "" || (Number(first) <= Number(wanted.port) && Number(wanted.port) <= Number(last));
  return within && live[port] !== undefined;
}

type Choice = (binding: PortBinding, port: string) => boolean;

function select(ports: PortMap, choice: Choice, protocol: string): PortMap {
  const found = Object.entries(ports).flatMap(([port, bindings]) => {
    const left = port.endsWith(`/${protocol}`) ? (bindings ?? []).filter((one) => choice(one, port)) : [];
    return left.length > 0 ? [[port, left] as const] : [];
  });
  return Object.fromEntries(found);
}

function merged(ports: PortMap, more: PortMap): PortMap {
  const all: Record<string, readonly PortBinding[] | null> = { ...ports };
  for (const [port, bindings] of Object.entries(more)) all[port] = [...(all[port] ?? []), ...(bindings ?? [])];
  return all;
}

function without(ports: PortMap, going: PortMap): PortMap {
  const left = Object.entries(ports).map(([port, bindings]) => {
    const gone = new Set(going[port] ?? []);
    return [port, (bindings ?? []).filter((one) => !gone.has(one))] as const;
  });
  return Object.fromEntries(left.filter(([, bindings]) => bindings.length > 0));
}

import { EngineError } from "../../errors/mod.ts";
import type { SettledCreate } from "../configuration.ts";
import { type Context, kernelNames } from "../context.ts";
import { type AddressChoices, addressChoices } from "../ipam.ts";
import { routesItself } from "../leads.ts";
import type { BridgeSettings, LegSettings, VlanSettings } from "../settings.ts";
import { networks } from "../table.ts";
import { type BridgeChoices, bridgeChoices } from "./bridge-options.ts";
import { parentOf } from "./parents.ts";
import { type VlanChoices, type VlanDriver, vlanChoices } from "./vlan-options.ts";

/** What a create request comes to, before anything has been chosen for it. */
export type DriverPlan = {
  readonly addresses: AddressChoices;
  /** One of its addresses is to lead out of it, or to be the host's. */
  readonly gateway: boolean;
} & (
  | { readonly driver: "bridge"; readonly choices: BridgeChoices }
  | { readonly driver: VlanDriver; readonly choices: VlanChoices }
);

/** Throws for what the driver cannot have, and for drivers that are not there. */
export function driverPlan(body: SettledCreate): DriverPlan {
  const { Driver: driver, Options, IPAM: ipam, EnableIPv6: six, Internal: internal } = body;
  if (driver === "bridge") {
    const choices = bridgeChoices(Options, internal);
    const gateway = choices.mode4 !== "isolated" && !(choices.inhibit && internal);
    return { driver, choices, gateway, addresses: addressChoices({ ipam, driver, six, gateway }) };
  }
  if (driver === "macvlan" || driver === "ipvlan") {
    const choices = vlanChoices(driver, Options);
    const gateway = !internal && choices.parent !== undefined && !routesItself(choices.kind);
    return { driver, choices, gateway, addresses: addressChoices({ ipam, driver, six, gateway }) };
  }
  throw refusal(driver);
}

function refusal(driver: string): EngineError {
  if (driver === "host" || driver === "null") {
    return new EngineError("forbidden", `only one instance of "${driver}" network is allowed`);
  }
  if (driver === "overlay") {
    const words = `network driver "overlay" is not implemented: this node is not a swarm manager, and Berth has no swarm`;
    return new EngineError("not-implemented", words);
  }
  return new EngineError("not-found", `plugin "${driver}" not found`);
}

/** What the kernel is to have: the part of the row, and what of the host its subnets may meet. Throws "forbidden" for a link of others. */
export function driverSettings(
  context: Context,
  id: string,
  plan: DriverPlan,
): {
  readonly checks: { readonly except?: string; readonly routes: boolean };
  readonly over: (legs: LegSettings) => { readonly bridge: BridgeSettings } | { readonly vlan: VlanSettings };
} {
  if (plan.driver === "bridge") {
    const asked = plan.choices.link;
    const link = asked ?? kernelNames(context.config.tag).bridge(id);
    const adopted = asked !== undefined && adopts(context, id, link);
    return {
      checks: { except: link, routes: true },
      over: (legs) => ({ bridge: { ...plan.choices, ...legs, link, ...(adopted && { adopted }) } }),
    };
  }
  const { parent, ...choices } = plan.choices;
  const found = parentOf(context, id, { parent, kind: choices.kind });
  return { checks: { routes: found.alone }, over: (legs) => ({ vlan: { ...choices, ...legs, ...found } }) };
}

/** A bridge that somebody has made is used as it is, unless it is another network's of ours. */
function adopts(context: Context, id: string, link: string): boolean {
  const kind = context.host.net.linkKind(link);
  const other = context.db.read(networks).find(({ bridge }) => bridge?.link === link);
  if (other) {
    const words = `conflicts with network ${other.id} (${link}): networks have same bridge name`;
    throw new EngineError("forbidden", `cannot create network ${id} (${link}): ${words}`);
  }
  if (kind === undefined) return false;
  if (kind === "bridge") return true;
  throw new EngineError("forbidden", `a network link ${link} already exists on this host, and is no bridge`);
}

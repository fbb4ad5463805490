import { EngineError } from "../../errors/mod.ts";
import { parseAddress } from "../address.ts";
import type { BridgeSettings, GatewayMode } from "../settings.ts";
import {
  commonOptions,
  flagOption,
  mtuOption,
  type Options,
  prefixOption,
  refuseUnknown,
  unreadable,
} from "./option.ts";

const prefix = "com.docker.network.bridge.";
export const bridgeOptions = {
  name: `${prefix}name`,
  masquerade: `${prefix}enable_ip_masquerade`,
  icc: `${prefix}enable_icc`,
  hostAddress: `${prefix}host_binding_ipv4`,
  inhibit: `${prefix}inhibit_ipv4`,
  trusted: `${prefix}trusted_host_interfaces`,
  mode4: `${prefix}gateway_mode_ipv4`,
  mode6: `${prefix}gateway_mode_ipv6`,
} as const;
/** Of the default network only. */
export const defaultOption = `${prefix}default_bridge`;

/** What a create request's options decide about the bridge; the link has a name of its own where none is asked for. */
export type BridgeChoices = Omit<BridgeSettings, "link" | "adopted" | "automatic" | keyof Addresses> & {
  readonly link?: string;
};
type Addresses = Pick<BridgeSettings, "subnet" | "range" | "gateway" | "reserved" | "six">;

/** Throws "invalid" in Docker's words, "not-implemented" for what is not there. */
export function bridgeChoices(options: Options, internal: boolean): BridgeChoices {
  refuseUnknown(options, [...Object.values(bridgeOptions), ...Object.values(commonOptions)], "bridge");
  const [link, mtu, named] = [linkName(options), mtuOption(options), prefixOption(options)];
  const modes = { mode4: gatewayMode(options, bridgeOptions.mode4), mode6: gatewayMode(options, bridgeOptions.mode6) };
  if (!internal && Object.values(modes).includes("isolated")) {
    throw new EngineError("invalid", "gateway mode 'isolated' can only be used for an internal network");
  }
  const trusted = trustedLinks(options);
  return {
    masquerade: flagOption(options, bridgeOptions.masquerade, true),
    icc: flagOption(options, bridgeOptions.icc, true),
    hostAddress: hostAddress(options),
    ...(flagOption(options, bridgeOptions.inhibit, false) && { inhibit: true }),
    ...(trusted.length > 0 && { trusted }),
    ...(modes.mode4 && { mode4: modes.mode4 }),
    ...(modes.mode6 && { mode6: modes.mode6 }),
    ...(link !== undefined && { link }),
    ...(mtu !== undefined && { mtu }),
    ...(named !== undefined && { prefix: named }),
  };
}

function linkName(options: Options): string | undefined {
  const link = options[bridgeOptions.name];
  if (link === undefined || /^[a-zA-Z0-9][\w.-]{0,14}$/.test(link)) return link;
  throw new EngineError("invalid", `invalid bridge name: "${link}"`);
}

function hostAddress(options: Options): string {
  const text = options[bridgeOptions.hostAddress] ?? "0.0.0.0";
  if (parseAddress(text) === undefined) throw unreadable(bridgeOptions.hostAddress, text, "nil ip");
  return text;
}

/** Names with a colon between them. */
function trustedLinks(options: Options): string[] {
  const text = options[bridgeOptions.trusted] ?? "";
  const names = text.split(":").filter((name) => name !== "");
  const wrong = names.find((name) => !/^[\w.-]{1,15}$/.test(name));
  if (wrong !== undefined) throw unreadable(bridgeOptions.trusted, text, `no interface is called "${wrong}"`);
  return names;
}

function gatewayMode(options: Options, key: string): GatewayMode | undefined {
  const text = options[key];
  if (text === undefined || text === "nat" || text === "nat-unprotected" || text === "isolated") return text;
  if (text !== "routed") throw unreadable(key, text, `unknown gateway mode ${text}`);
  throw new EngineError("not-implemented", `gateway mode "${text}" (${key}) is not implemented`);
}

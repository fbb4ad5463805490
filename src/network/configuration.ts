import { randomBytes } from "node:crypto";
import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { NetworkCreateBody } from "../wire/mod.ts";
import { commonOptions, parseFlag } from "./drivers/option.ts";
import { isPredefined } from "./inspect.ts";
import { checkIpam } from "./ipam-check.ts";
import { type NetworkRow, networkByName, networks } from "./table.ts";

/** A create request with everything in it that the driver is to know. */
export interface SettledCreate extends NetworkCreateBody {
  readonly Driver: string;
  readonly EnableIPv6: boolean;
}

/**
 * Fills in what a configuration network says for networks made from it, and refuses what cannot be, in Docker's words:
 * "invalid", "forbidden", "not-found", and "not-implemented" for what is not there.
 */
export function settleCreate(q: Query, body: NetworkCreateBody): SettledCreate {
  checkName(body.Name);
  checkConfigOnly(body);
  const asked = body.ConfigFrom ? { ...body, ...configurationOf(q, body) } : body;
  const EnableIPv6 = asked.EnableIPv6 ?? kindOption(asked, commonOptions.six) ?? false;
  const refused = {
    "a network without IPv4": !(asked.EnableIPv4 ?? kindOption(asked, commonOptions.four) ?? true),
    "an ingress network": body.Ingress,
    [`scope "${body.Scope}"`]: body.Scope !== undefined && body.Scope !== "" && body.Scope !== "local",
  };
  for (const [what, wanted] of Object.entries(refused)) {
    if (wanted) throw new EngineError("not-implemented", `${what} is not implemented`);
  }
  return { ...asked, EnableIPv6, Driver: body.Driver || "bridge", Options: withoutOverruled(asked) };
}

/** The row of a configuration, which is nothing in the kernel and takes no addresses. */
export function configurationRow(body: SettledCreate): NetworkRow {
  checkIpam(body.IPAM?.Config ?? []);
  return {
    id: randomBytes(32).toString("hex"),
    name: body.Name,
    driver: "null",
    created: new Date().toISOString(),
    ipam: {
      Driver: body.IPAM?.Driver || "default",
      Options: body.IPAM?.Options ?? {},
      Config: body.IPAM?.Config ?? [],
    },
    internal: false,
    attachable: false,
    options: body.Options,
    labels: body.Labels,
    configuration: { six: body.EnableIPv6 },
  };
}

/** Throws "forbidden" while networks are there that were made from it. */
export function checkUnused(q: Query, { name, configuration }: NetworkRow): void {
  if (!configuration) return;
  const users = networks(q).filter(({ configFrom }) => configFrom === name);
  if (users.length === 0) return;
  const names = users.map((user) => user.name).join(", ");
  throw new EngineError(
    "forbidden",
    `error while removing network: configuration network "${name}" is in use by ${names}`,
  );
}

function checkName(name: string): void {
  if (!/^[a-zA-Z0-9][^\p{Cc}/]*$/u.test(name)) throw new EngineError("invalid", `invalid network name: "${name}"`);
  if (!isPredefined(name)) return;
  throw new EngineError("forbidden", `operation is not permitted on predefined ${name} network`);
}

function checkConfigOnly({ ConfigOnly, ConfigFrom, Ingress, Internal, Attachable, Scope }: NetworkCreateBody): void {
  if (!ConfigOnly) return;
  if (ConfigFrom) {
    const words = "a configuration network cannot depend on another configuration network";
    throw new EngineError("forbidden", words);
  }
  if (!(Ingress || Internal || Attachable || Scope)) return;
  const fields = "Network operator fields like [ ingress | internal | attachable | scope ] are not supported.";
  throw new EngineError("forbidden", `configuration network can only contain network specific fields. ${fields}`);
}

type Configured = Pick<NetworkCreateBody, "IPAM" | "EnableIPv6" | "Options" | "Labels">;

function configurationOf(q: Query, body: NetworkCreateBody): Configured {
  const found = networkByName(q, body.ConfigFrom ?? "");
  if (!found?.configuration) {
    throw new EngineError("not-found", `configuration network "${body.ConfigFrom}" does not exist`);
  }
  const { IPAM } = body;
  const own = [IPAM?.Driver && IPAM.Driver !== "default", body.EnableIPv4 === false, body.EnableIPv6];
  const lists = [IPAM?.Config ?? [], Object.keys(IPAM?.Options ?? {}), Object.keys(body.Labels)];
  const depends = "not supported if the network depends on a configuration network";
  if (own.some(Boolean) || lists.some((list) => list.length > 0)) {
    throw new EngineError("forbidden", `user specified configurations are ${depends}`);
  }
  if (Object.keys(body.Options).length > 0) {
    throw new EngineError("forbidden", `network driver options are ${depends}`);
  }
  return {
    IPAM: found.ipam,
    EnableIPv6: found.configuration.six,
    Options: found.options,
    Labels: found.labels,
  };
}

/** Docker drops the options that a field of the request contradicts, and so takes the place of. */
function withoutOverruled({ Options, EnableIPv4, EnableIPv6 }: NetworkCreateBody): Record<string, string> {
  const overruled = [
    ...(EnableIPv4 === undefined ? [] : [commonOptions.four]),
    ...(EnableIPv6 === undefined ? [] : [commonOptions.six]),
  ];
  return Object.fromEntries(Object.entries(Options).filter(([key]) => !overruled.some((one) => one === key)));
}

/** Whether an option of the driver turns a kind of addresses on; the field of the request counts more. */
function kindOption({ Options }: NetworkCreateBody, key: string): boolean | undefined {
  const text = Options[key];
  const value = text === undefined ? undefined : parseFlag(text);
  if (text === undefined || value !== undefined) return value;
  throw new EngineError("invalid", `driver-opt "${key}" is not a valid bool`);
}

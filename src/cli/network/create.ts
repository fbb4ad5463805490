import { EngineError } from "../../errors/mod.ts";
import { bool, integer, list, text, type Values } from "../../flags/mod.ts";
import type { IpamPool } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { pairs, splitOnce } from "../container/values.ts";
import { print, tell } from "../io.ts";
import { networkPath } from "./path.ts";

const createFlags = {
  attachable: bool("Enable manual container attachment"),
  "aux-address": list("Auxiliary IPv4 or IPv6 addresses used by Network driver", { placeholder: "NAME=ADDRESS" }),
  "config-from": text("The network from which to copy the configuration"),
  "config-only": bool("Create a configuration only network"),
  driver: text("Driver to manage the Network", { short: "d", initial: "bridge" }),
  gateway: list("IPv4 or IPv6 Gateway for the master subnet"),
  internal: bool("Restrict external access to the network"),
  ingress: bool("Create swarm routing-mesh network"),
  "ip-range": list("Allocate container ip from a sub-range"),
  "ipam-driver": text("IP Address Management Driver", { initial: "default" }),
  "ipam-opt": list("Set IPAM driver specific options", { placeholder: "KEY=VALUE" }),
  ipv4: bool("Enable or disable IPv4 address assignment", { initial: true }),
  ipv6: bool("Enable or disable IPv6 address assignment"),
  label: list("Set metadata on a network", { placeholder: "KEY=VALUE" }),
  opt: list("Set driver specific options", { short: "o", placeholder: "KEY=VALUE" }),
  scope: text("Control the network's scope"),
  subnet: list("Subnet in CIDR format that represents a network segment"),
};
type Flags = Values<typeof createFlags>;

export const create = command({
  name: "create",
  summary: "Create a network",
  usage: "[OPTIONS] NETWORK",
  examples: ["berth network create app", "berth network create --subnet 10.9.0.0/24 app"],
  flags: createFlags,
  args: { min: 1, max: 1 },
  async run({ flags, given, args: [Name = ""], client }, io) {
    const body = {
      Name,
      Driver: flags.driver,
      Scope: flags.scope || undefined,
      Attachable: flags.attachable,
      Internal: flags.internal,
      Ingress: flags.ingress,
      ConfigOnly: flags["config-only"],
      ...(flags["config-from"] && { ConfigFrom: { Network: flags["config-from"] } }),
      ...(given.has("ipv4") && { EnableIPv4: flags.ipv4 }),
      ...(given.has("ipv6") && { EnableIPv6: flags.ipv6 }),
      IPAM: { Driver: flags["ipam-driver"], Options: pairs(flags["ipam-opt"]), Config: pools(flags) },
      Options: pairs(flags.opt),
      Labels: pairs(flags.label),
    };
    const made = { method: "POST", path: "/networks/create", body } as const;
    const { Id, Warning } = await client.json<{ Id: string; Warning?: string }>(made);
    if (Warning) await tell(io, `WARNING: ${Warning}\n`);
    await print(io, `${Id}\n`);
    return 0;
  },
});

type Pool = { -readonly [K in keyof IpamPool]: IpamPool[K] };

/** Gateways, ranges and auxiliary addresses go to the subnet that holds them. */
function pools(flags: Flags): IpamPool[] {
  const listed = (given: readonly string[]) => given.flatMap((one) => one.split(","));
  const made: Pool[] = listed(flags.subnet).map((Subnet) => ({ Subnet }));
  const holding = (address: string, what: string): Pool => {
    const pool = made.find(({ Subnet = "" }) => contains(Subnet, address));
    if (!pool) throw new EngineError("invalid", `no matching subnet for ${what} ${address}`);
    return pool;
  };
  for (const range of listed(flags["ip-range"])) holding(splitOnce(range, "/")[0], "range").IPRange = range;
  for (const gateway of listed(flags.gateway)) holding(gateway, "gateway").Gateway = gateway;
  for (const [name, address] of Object.entries(pairs(flags["aux-address"]))) {
    const pool = holding(address, "aux-address");
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: address };
  }
  return made;
}

function contains(subnet: string, address: string): boolean {
  const [base, bits = ""] = splitOnce(subnet, "/");
  const [a, b] = [addressBits(base), addressBits(address)];
  return (
    a !== undefined && b !== undefined && a.length === b.length && a.slice(0, Number(bits)) === b.slice(0, Number(bits))
  );
}

/** An address as a text of zeroes and ones; undefined for what is none. The URL parser writes IPv6 in its one canonical form. */
function addressBits(address: string): string | undefined {
  const binary = (value: number, width: number) => value.toString(2).padStart(width, "0");
  if (!address.includes(":")) {
    const parts = address.split(".").map(Number);
    const valid = parts.length === 4 && parts.every((one) => Number.isInteger(one) && one >= 0 && one <= 255);
    return valid ? parts.map((one) => binary(one, 8)).join("") : undefined;
  }
  const canonical = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1);
  if (canonical === undefined) return undefined;
  const [head = "", tail] = canonical.split("::");
  const groups = (text: string | undefined) => (text ? text.split(":") : []);
  const [before, after] = [groups(head), groups(tail)];
  const zeroes = Array.from({ length: 8 - before.length - after.length }, () => "0");
  return [...before, ...zeroes, ...after].map((one) => binary(Number.parseInt(one, 16), 16)).join("");
}

export const connect = command({
  name: "connect",
  summary: "Connect a container to a network",
  usage: "[OPTIONS] NETWORK CONTAINER",
  examples: ["berth network connect --alias db app postgres"],
  flags: {
    alias: list("Add network-scoped alias for the container"),
    "driver-opt": list("driver options for the network", { placeholder: "KEY=VALUE" }),
    "gw-priority": integer("Highest gw-priority provides the default gateway. Accepts positive and negative values."),
    ip: text('IPv4 address (e.g., "172.30.100.104")'),
    ip6: text('IPv6 address (e.g., "2001:db8::33")'),
    link: list("Add link to another container"),
    "link-local-ip": list("Add a link-local address for the container"),
  },
  args: { min: 2, max: 2 },
  async run({ flags, args: [network = "", Container = ""], client }) {
    const IPAMConfig = {
      ...(flags.ip && { IPv4Address: flags.ip }),
      ...(flags.ip6 && { IPv6Address: flags.ip6 }),
      ...(flags["link-local-ip"].length > 0 && { LinkLocalIPs: flags["link-local-ip"] }),
    };
    const EndpointConfig = {
      IPAMConfig,
      Aliases: flags.alias,
      Links: flags.link,
      DriverOpts: pairs(flags["driver-opt"]),
      ...(flags["gw-priority"] !== undefined && { GwPriority: flags["gw-priority"] }),
    };
    const body = { Container, EndpointConfig };
    await client.status({ method: "POST", path: networkPath(network, "/connect"), body });
    return 0;
  },
});

export const disconnect = command({
  name: "disconnect",
  summary: "Disconnect a container from a network",
  usage: "[OPTIONS] NETWORK CONTAINER",
  examples: ["berth network disconnect app postgres"],
  flags: { force: bool("Force the container to disconnect from a network", { short: "f" }) },
  args: { min: 2, max: 2 },
  async run({ flags, args: [network = "", Container = ""], client }) {
    const body = { Container, Force: flags.force };
    await client.status({ method: "POST", path: networkPath(network, "/disconnect"), body });
    return 0;
  },
});

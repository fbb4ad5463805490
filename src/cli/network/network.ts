import { EngineError } from "../../errors/mod.ts";
import { bool, list, text } from "../../flags/mod.ts";
import type { NetworkInspect } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { pairs } from "../container/values.ts";
import { colours, print, write } from "../io.ts";
import { type Column, renderList } from "../output/table.ts";
import { shortId } from "../output/units.ts";
import { confirm, each, filtersOf } from "../session/each.ts";
import { inspectAll } from "../session/inspect.ts";

const at = (name: string, rest = "") => `/networks/${encodeURIComponent(name)}${rest}`;

const columns = (full: boolean): Column<NetworkInspect>[] => [
  { name: "ID", heading: "NETWORK ID", value: (row) => (full ? row.Id : shortId(row.Id)) },
  { name: "Name", heading: "NAME", value: (row) => row.Name, shrinks: true },
  { name: "Driver", heading: "DRIVER", value: (row) => row.Driver },
  { name: "Scope", heading: "SCOPE", value: (row) => row.Scope },
  { name: "IPv6", heading: "IPV6", value: (row) => String(row.EnableIPv6) },
  { name: "Internal", heading: "INTERNAL", value: (row) => String(row.Internal) },
  {
    name: "Labels",
    heading: "LABELS",
    value: (row) =>
      Object.entries(row.Labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(","),
  },
  { name: "CreatedAt", heading: "CREATED AT", value: (row) => row.Created },
];

export const ls = command({
  name: "ls",
  summary: "List networks",
  usage: "[OPTIONS]",
  examples: ["berth network ls --filter driver=bridge"],
  flags: {
    filter: list('Provide filter values (e.g. "driver=bridge")', { short: "f" }),
    format: text("Format output: table, json, or a Go template"),
    "no-trunc": bool("Do not truncate the output"),
    quiet: bool("Only display network IDs", { short: "q" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const rows = await client.json<NetworkInspect[]>({
      method: "GET",
      path: "/networks",
      query: { filters: filtersOf(flags.filter) },
    });
    const sorted = rows.toSorted((a, b) => (a.Name < b.Name ? -1 : 1));
    const format = flags.quiet && !flags.format ? "{{.ID}}" : flags.format;
    await print(
      io,
      renderList(sorted, {
        columns: columns(flags["no-trunc"]),
        shown: ["ID", "Name", "Driver", "Scope"],
        format,
        width: io.stdout.columns,
        bold: colours(io),
      }),
    );
    return 0;
  },
});

export const create = command({
  name: "create",
  summary: "Create a network",
  usage: "[OPTIONS] NETWORK",
  examples: ["berth network create app", "berth network create --subnet 10.9.0.0/24 app"],
  flags: {
    attachable: bool("Enable manual container attachment"),
    "aux-address": list("Auxiliary IPv4 or IPv6 addresses used by Network driver", { placeholder: "NAME=ADDRESS" }),
    driver: text("Driver to manage the Network", { short: "d", initial: "bridge" }),
    gateway: list("IPv4 or IPv6 Gateway for the master subnet"),
    internal: bool("Restrict external access to the network"),
    "ip-range": list("Allocate container ip from a sub-range"),
    ipv6: bool("Enable or disable IPv6 address assignment"),
    label: list("Set metadata on a network", { placeholder: "KEY=VALUE" }),
    opt: list("Set driver specific options", { short: "o", placeholder: "KEY=VALUE" }),
    subnet: list("Subnet in CIDR format that represents a network segment"),
  },
  args: { min: 1, max: 1 },
  async run({ flags, args: [Name = ""], client }, io) {
    if (flags.gateway.length > flags.subnet.length || flags["ip-range"].length > flags.subnet.length) {
      throw new EngineError("invalid", "every gateway and ip-range needs its subnet");
    }
    const Config = flags.subnet.map((Subnet, index) => ({
      Subnet,
      ...(flags.gateway[index] && { Gateway: flags.gateway[index] }),
      ...(flags["ip-range"][index] && { IPRange: flags["ip-range"][index] }),
      ...(index === 0 && flags["aux-address"].length > 0 && { AuxiliaryAddresses: pairs(flags["aux-address"]) }),
    }));
    const body = {
      Name,
      Driver: flags.driver,
      Attachable: flags.attachable,
      Internal: flags.internal,
      EnableIPv6: flags.ipv6,
      IPAM: { Driver: "default", Config },
      Options: pairs(flags.opt),
      Labels: pairs(flags.label),
    };
    const { Id, Warning } = await client.json<{ Id: string; Warning?: string }>({
      method: "POST",
      path: "/networks/create",
      body,
    });
    if (Warning) await write(io.stderr, `WARNING: ${Warning}\n`);
    await print(io, `${Id}\n`);
    return 0;
  },
});

export const connect = command({
  name: "connect",
  summary: "Connect a container to a network",
  usage: "[OPTIONS] NETWORK CONTAINER",
  examples: ["berth network connect --alias db app postgres"],
  flags: {
    alias: list("Add network-scoped alias for the container"),
    "driver-opt": list("Driver options for the network", { placeholder: "KEY=VALUE" }),
    ip: text('IPv4 address (e.g., "172.30.100.104")'),
    ip6: text("IPv6 address"),
    link: list("Add link to another container"),
  },
  args: { min: 2, max: 2 },
  async run({ flags, args: [network = "", Container = ""], client }) {
    const addresses = { ...(flags.ip && { IPv4Address: flags.ip }), ...(flags.ip6 && { IPv6Address: flags.ip6 }) };
    const EndpointConfig = {
      IPAMConfig: addresses,
      Aliases: flags.alias,
      Links: flags.link,
      DriverOpts: pairs(flags["driver-opt"]),
    };
    await client.status({ method: "POST", path: at(network, "/connect"), body: { Container, EndpointConfig } });
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
    await client.status({ method: "POST", path: at(network, "/disconnect"), body: { Container, Force: flags.force } });
    return 0;
  },
});

export const inspect = command({
  name: "inspect",
  summary: "Display detailed information on one or more networks",
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  examples: ["berth network inspect -f '{{(index .IPAM.Config 0).Subnet}}' bridge"],
  flags: {
    format: text("Format output using a Go template", { short: "f" }),
    verbose: bool("Verbose output for diagnostics", { short: "v" }),
  },
  args: { min: 1 },
  run: ({ flags, args, client }, io) =>
    inspectAll(io, args, {
      format: flags.format,
      get: (name) => client.json({ method: "GET", path: at(name), query: { verbose: flags.verbose } }),
    }),
});

export const rm = command({
  name: "rm",
  summary: "Remove one or more networks",
  usage: "NETWORK [NETWORK...]",
  examples: ["berth network rm app"],
  flags: { force: bool("Do not error if the network does not exist", { short: "f" }) },
  args: { min: 1 },
  run({ flags, args, client }, io) {
    return each(io, args, async (name) => {
      const removed = client.status({ method: "DELETE", path: at(name) });
      await removed.catch((err) => {
        if (!(flags.force && err instanceof EngineError && err.kind === "not-found")) throw err;
      });
      return name;
    });
  },
});

export const prune = command({
  name: "prune",
  summary: "Remove all unused networks",
  usage: "[OPTIONS]",
  examples: ["berth network prune -f"],
  flags: {
    filter: list('Provide filter values (e.g. "until=<timestamp>")'),
    force: bool("Do not prompt for confirmation", { short: "f" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    if (!flags.force)
      await confirm(io, "WARNING! This will remove all custom networks not used by at least one container.");
    const query = { filters: filtersOf(flags.filter) };
    const { NetworksDeleted } = await client.json<{ NetworksDeleted: string[] | null }>({
      method: "POST",
      path: "/networks/prune",
      query,
    });
    if (NetworksDeleted?.length) await print(io, `Deleted Networks:\n${NetworksDeleted.join("\n")}\n\n`);
    return 0;
  },
});

import { isIP } from "node:net";
import { EngineError } from "../errors/mod.ts";
import type { ExtraHosts, HostsInput } from "./rootfs.ts";

/** As moby writes them (libnetwork `etchosts`). */
const localNames = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/** The text of /etc/hosts in a network of its own. */
export function hostsFile(input: HostsInput): string {
  const { hostname, domainname } = input;
  const full = domainname ? `${hostname}.${domainname}` : hostname;
  const [bare = ""] = full.split(".");
  const names = bare === full ? full : `${full} ${bare}`;
  const own = input.addresses.map((address) => `${address}\t${names}`);
  return `${[...localNames, ...extraHostLines(input), ...own].join("\n")}\n`;
}

/** Lines for `--add-host` alone, which the host network's file gets at its end. */
export function extraHostLines({ extraHosts, hostGateway }: ExtraHosts): string[] {
  return extraHosts.flatMap((entry) => {
    const { name, address } = parse(entry);
    const real = address === "host-gateway" ? hostGateway() : address;
    return real ? [`${real}\t${name}`] : [];
  });
}

/** Throws "invalid" in Docker's words for an entry that is none. */
export function requireExtraHosts(entries: readonly string[]): void {
  for (const entry of entries) {
    const { name, address } = parse(entry);
    if (!/^\S+$/.test(name) || address === "") throw new EngineError("invalid", `bad format for add-host: "${entry}"`);
    if (address !== "host-gateway" && isIP(address) === 0)
      throw new EngineError("invalid", `invalid IP address in add-host: "${address}"`);
  }
}

function parse(entry: string): { name: string; address: string } {
  const [, name = "", address = ""] = /^([^:=]+)[:=](.+)$/.exec(entry) ?? [];
  return { name, address: address.replace(/^\[(.*)\]$/, "$1") };
}

import { isIP } from "node:net";

export interface HostsInput {
  readonly hostname: string;
  readonly domainname: string;
  readonly addresses: readonly string[];
  /** `NAME:ADDRESS` or `NAME=ADDRESS`, as `--add-host` gives them. */
  readonly extraHosts: readonly string[];
  /** What `host-gateway` stands for. */
  readonly hostGateway: string;
}

const localNames = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

/** The text of a container's /etc/hosts. */
export function hostsFile(input: HostsInput): string {
  const { hostname, domainname } = input;
  const names = domainname ? `${hostname}.${domainname} ${hostname}` : hostname;
  const own = input.addresses.map((address) => `${address}\t${names}`);
  return `${[...localNames, ...extraHostLines(input), ...own].join("\n")}\n`;
}

/** Lines for `--add-host` alone, which the host network's file gets at its end. */
export function extraHostLines(input: Pick<HostsInput, "extraHosts" | "hostGateway">): string[] {
  return input.extraHosts.flatMap((entry) => {
    const [, name, address] = /^([^:=]+)[:=](.*)$/.exec(entry) ?? [];
    const real = address === "host-gateway" ? input.hostGateway : address?.replace(/^\[(.*)\]$/, "$1");
    return real ? [`${real}\t${name}`] : [];
  });
}

export interface ResolvConfInput {
  /** The host's own file. */
  readonly host: string;
  readonly dns: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
  /** The container uses the host's network, where the host's loopback resolvers answer. */
  readonly hostNetwork: boolean;
}

/** Docker's fallback when only resolvers on loopback are configured, which a container cannot reach. */
const fallback = ["8.8.8.8", "8.8.4.4"];

/** The text of a container's /etc/resolv.conf: the user's words, else the host's, without resolvers that cannot be reached. */
export function resolvConfFile(input: ResolvConfInput): string {
  const host = parse(input.host);
  const reachable = input.hostNetwork ? host.nameservers : host.nameservers.filter((server) => !isLoopback(server));
  const usable = input.hostNetwork || reachable.length > 0 ? reachable : fallback;
  const servers = input.dns.length > 0 ? input.dns : usable;
  const search = input.search.length > 0 ? input.search.filter((domain) => domain !== ".") : host.search;
  const options = input.options.length > 0 ? input.options : host.options;
  const lines = servers.map((server) => `nameserver ${server}`);
  if (search.length > 0) lines.push(`search ${search.join(" ")}`);
  if (options.length > 0) lines.push(`options ${options.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

function parse(text: string): { nameservers: string[]; search: string[]; options: string[] } {
  const found = { nameservers: [] as string[], search: [] as string[], options: [] as string[] };
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] && isIP(rest[0].split("%")[0] ?? "")) found.nameservers.push(rest[0]);
    else if (word === "search" || word === "domain") found.search = rest;
    else if (word === "options") found.options = rest;
  }
  return found;
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

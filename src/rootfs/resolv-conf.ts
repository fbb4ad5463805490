import { isIP } from "node:net";
import type { ResolvConfInput } from "./rootfs.ts";

/** Docker's, when only resolvers on loopback are configured, which a container cannot reach (libnetwork `resolvconf`). */
const fallback = ["8.8.8.8", "8.8.4.4"];

/** Where systemd-resolved(8) lists whom it asks, with the host's search domains. */
export const stubbed = "/run/systemd/resolve/resolv.conf";
const stub = "127.0.0.53";

/** The text of /etc/resolv.conf: what was asked for, else the host's, without resolvers that cannot be reached. */
export function resolvConfFile(input: ResolvConfInput): string {
  const { host, resolver, dns, search = [], options = [], hostNetwork } = input;
  if (hostNetwork && dns.length + search.length + options.length === 0) return host;
  const own = behindStub(parse(host), input);
  const reachable = hostNetwork ? own.nameservers : own.nameservers.filter((server) => !isLoopback(server));
  const usable = hostNetwork || reachable.length > 0 ? reachable : fallback;
  const servers = resolver !== undefined ? [resolver] : dns.length > 0 ? dns : usable;
  const domains = search.length > 0 ? search.filter((domain) => domain !== ".") : own.search;
  const settings = withNdots(options.length > 0 ? options : own.options, resolver);
  const lines = servers.map((server) => `nameserver ${server}`);
  if (domains.length > 0) lines.push(`search ${domains.join(" ")}`);
  if (settings.length > 0) lines.push(`options ${settings.join(" ")}`);
  return `${lines.join("\n")}\n`;
}

/** A container cannot reach the stub, and may ask for itself whom that one would ask (moby's `resolvconf.Path`). */
function behindStub(own: Parsed, { behind = "", hostNetwork }: ResolvConfInput): Parsed {
  const isStub = own.nameservers.length > 0 && own.nameservers.every((server) => server === stub);
  return isStub && behind !== "" && !hostNetwork ? parse(behind) : own;
}

/** Names of containers have no dot: a resolver that knows them is asked for a name as it is first (libnetwork `ndots:0`). */
function withNdots(options: readonly string[], resolver: string | undefined): readonly string[] {
  const chosen = resolver === undefined || options.some((option) => option.startsWith("ndots:"));
  return chosen ? options : [...options, "ndots:0"];
}

interface Parsed {
  readonly nameservers: string[];
  readonly search: string[];
  readonly options: string[];
}

/** The last line of search domains counts, and all of options (resolv.conf(5)). */
function parse(text: string): Parsed {
  const found = { nameservers: [] as string[], search: [] as string[], options: [] as string[] };
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0] && isIP(rest[0].split("%")[0] ?? "")) found.nameservers.push(rest[0]);
    else if (word === "search" || word === "domain") found.search = rest;
    else if (word === "options") found.options.push(...rest);
  }
  return found;
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

import { BlockList, isIP } from "node:net";
import { EngineError } from "../errors/mod.ts";
import type { Reference } from "../oci/mod.ts";

/** Where a repository can be asked for. `bases` are tried in turn until one answers at all: `https` before `http`. */
export interface Endpoint {
  readonly bases: readonly string[];
  /** Certificates need not verify. */
  readonly insecure: boolean;
  readonly mirror: boolean;
}

export interface EndpointOptions {
  /** `--registry-mirror`: URLs, asked in order before Docker Hub for its names. */
  readonly mirrors: readonly string[];
  /** `--insecure-registry`: `HOST`, `HOST:PORT` or a CIDR. */
  readonly insecure: readonly string[];
}

export type Endpoints = (ref: Pick<Reference, "domain">) => { readonly pull: Endpoint[]; readonly push: Endpoint };

const hub = "docker.io";
const hubHost = "registry-1.docker.io";

/** Throws "invalid" for a mirror that is no http(s) URL and for a malformed CIDR. */
export function createEndpoints({ mirrors, insecure }: EndpointOptions): Endpoints {
  const isInsecure = insecureMatcher(insecure);
  const asked = mirrors.map((url) => mirrorEndpoint(url, isInsecure));
  return ({ domain }) => {
    const host = domain === hub ? hubHost : domain;
    const push = { ...hostEndpoint(host, isInsecure(host)), mirror: false };
    return { push, pull: domain === hub ? [...asked, push] : [push] };
  };
}

/** The address in a `host[:port]`, without brackets and port. */
export function hostnameOf(host: string): string {
  return host.startsWith("[") ? host.slice(1, host.indexOf("]")) : host.replace(/:\d+$/, "");
}

function hostEndpoint(host: string, insecure: boolean): Omit<Endpoint, "mirror"> {
  if (!insecure) return { bases: [`https://${host}`], insecure };
  const order = isLoopback(host) ? ["http", "https"] : ["https", "http"];
  return { bases: order.map((scheme) => `${scheme}://${host}`), insecure };
}

function mirrorEndpoint(text: string, isInsecure: (host: string) => boolean): Endpoint {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username) {
    throw new EngineError("invalid", `invalid mirror: ${JSON.stringify(text)} is not a plain http(s) URL`);
  }
  return { bases: [url.href.replace(/\/+$/, "")], insecure: isInsecure(url.host), mirror: true };
}

function insecureMatcher(entries: readonly string[]): (host: string) => boolean {
  const networks = new BlockList();
  const hosts = new Set<string>();
  for (const entry of entries) {
    if (entry.includes("/")) addNetwork(networks, entry);
    else hosts.add(entry.toLowerCase());
  }
  return (host) => {
    const name = hostnameOf(host);
    const family = isIP(name);
    if (isLoopback(host) || hosts.has(host.toLowerCase()) || hosts.has(name.toLowerCase())) return true;
    return family !== 0 && networks.check(name, family === 6 ? "ipv6" : "ipv4");
  };
}

function addNetwork(networks: BlockList, cidr: string): void {
  const [address = "", prefix = ""] = cidr.split("/");
  const family = isIP(address);
  if (family === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 6 ? 128 : 32)) {
    throw new EngineError("invalid", `insecure registry ${JSON.stringify(cidr)} is not valid: HOST[:PORT] or CIDR`);
  }
  networks.addSubnet(address, Number(prefix), family === 6 ? "ipv6" : "ipv4");
}

function isLoopback(host: string): boolean {
  const name = hostnameOf(host).toLowerCase();
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."));
}

import { EngineError } from "../errors/mod.ts";

export type Address = { readonly socketPath: string } | { readonly hostname: string; readonly port: number };

/** `unix:///path`, `/path`, `tcp://host:port` or `http://host:port` (2375 when it names none). Throws "invalid" for anything else. */
export function parseAddress(host: string): Address {
  if (host.startsWith("/")) return { socketPath: host };
  const url = URL.parse(host);
  if (url?.protocol === "unix:" && url.pathname !== "") return { socketPath: decodeURIComponent(url.pathname) };
  if (url && (url.protocol === "tcp:" || url.protocol === "http:") && url.hostname) {
    return { hostname: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 2375) };
  }
  throw new EngineError(
    "invalid",
    `unable to parse engine host ${JSON.stringify(host)}: unix:///PATH or tcp://HOST:PORT is expected`,
  );
}

/** The origin that URLs start with; over a unix socket the name is one that cannot be resolved by mistake. */
export function originOf(address: Address): string {
  if ("socketPath" in address) return "http://berth.localhost";
  const name = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  return `http://${name}:${address.port}`;
}

export function hostHeader(address: Address): string {
  return new URL(originOf(address)).host;
}

import { isIP } from "node:net";
import { EngineError } from "../errors/mod.ts";
import type { ExtraHosts, HostLine, HostsInput, HostsUpdate } from "./rootfs.ts";

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
  const names = ownNames(input.hostname, input.domainname);
  const own = input.addresses.map((address) => lineOf({ address, names }));
  return `${[...baseHostLines(input), ...own].join("\n")}\n`;
}

/** The lines that do not change while a container runs. */
export function baseHostLines(input: ExtraHosts): string[] {
  return [...localNames, ...extraHostLines(input)];
}

/** What a container is called in its own file: the full name, and what is before its first dot. */
export function ownNames(hostname: string, domainname: string): readonly string[] {
  const full = domainname ? `${hostname}.${domainname}` : hostname;
  const [bare = ""] = full.split(".");
  return bare === full ? [full] : [full, bare];
}

/** A file with the engine's lines brought up to date; everything else in it stays as it is. */
export function updatedHosts(text: string, { base, lines, names }: HostsUpdate): string {
  const fixed = new Set(base);
  const there = text === "" ? base : text.replace(/\n$/, "").split("\n");
  const kept = there.filter((line) => fixed.has(line) || !names.has(firstName(line)));
  return `${[...kept, ...lines.map(lineOf)].join("\n")}\n`;
}

/** "" for a line that names nothing. */
function firstName(line: string): string {
  return /^\s*[^#\s]+\s+([^#\s]+)/.exec(line)?.[1] ?? "";
}

function lineOf({ address, names }: HostLine): string {
  return `${address}\t${names.join(" ")}`;
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

import type { Packet } from "./packet.ts";
import type { Chain, Firewall } from "./ruleset.ts";
import { type Fate, fateOf } from "./verdict.ts";

/** One port that is to be published, or is. */
export interface Published {
  readonly protocol: Packet["protocol"];
  /** "" for all addresses of the host. */
  readonly hostAddress: string;
  /** Undefined for one that the engine is yet to choose. */
  readonly hostPort?: number;
  readonly containerPort: number;
}

/** What a host firewall does to published ports. */
export interface Effects {
  /** Dropped on their way to the container: nobody outside reaches them. */
  readonly silenced: readonly Published[];
  /** Reached from outside although the firewall keeps others out: they are passed on, and do not come in. */
  readonly open: readonly Published[];
  /** The chain that drops the silenced ones, and the one that does not guard the open ones. */
  readonly silencer?: string;
  readonly guard?: string;
}

/** Where published ports lead, and where those who ask for them come from. */
export interface Path {
  /** The bridge that leads to the container. */
  readonly bridge: string;
  /** The link to the outside; undefined when nobody knows. */
  readonly link?: string;
}

/** Ports that are looked at: each is a walk through all rules, and the thousand behind them fare no other way. */
const lookedAt = 64;

/** Of ports behind a bridge; those on the loopback are nobody's business but the host's. */
export function effectsOn(firewall: Firewall, path: Path, ports: readonly Published[]): Effects {
  const outer = ports.filter(({ hostAddress }) => !/^(127\.|::1$)/.test(hostAddress));
  const fates = outer.slice(0, lookedAt).map((port) => ({ port, ...fatesOf(firewall, path, port) }));
  const silenced = fates.filter(({ passed }) => !passed.accept);
  const open = fates.filter(({ passed, received }) => passed.accept && received.drop);
  const [silencer, guard] = [silenced[0]?.passed.by, open[0]?.received.by];
  return {
    silenced: silenced.map(({ port }) => port),
    open: open.map(({ port }) => port),
    ...(silencer !== undefined && { silencer }),
    ...(guard !== undefined && { guard }),
  };
}

function fatesOf(firewall: Firewall, { bridge, link }: Path, port: Published): { passed: Fate; received: Fate } {
  const { protocol, hostAddress, hostPort, containerPort } = port;
  const family = hostAddress.includes(":") ? ("ip6" as const) : ("ip" as const);
  const packet = { family, protocol, ...(link !== undefined && { from: link }) };
  return {
    passed: fateOf(firewall, "forward", { ...packet, port: containerPort, to: bridge }),
    received: fateOf(firewall, "input", { ...packet, ...(hostPort !== undefined && { port: hostPort }) }),
  };
}

/** For people, of at most one line each. */
export function warningsOf(firewall: Firewall, path: Path, ports: readonly Published[]): string[] {
  const { silenced, open, silencer, guard } = effectsOn(firewall, path, ports);
  const lines: string[] = [];
  if (silencer !== undefined) {
    lines.push(
      `The host's firewall (${placeOf(silencer)}) drops what is forwarded to containers: ` +
        `${portsText(silenced)} will answer on this host only. ${remedy(firewall, { chain: silencer, bridge: path.bridge, ports: silenced })}`,
    );
  }
  if (guard !== undefined) {
    lines.push(
      `${capital(portsText(open))} can be reached from outside although the host's firewall (${placeOf(guard)}) keeps others out: ` +
        "published ports are forwarded and do not pass the input chain. To keep one on this host publish it on 127.0.0.1",
    );
  }
  return lines;
}

/** "inet filter forward" in words. */
function placeOf(chain: string): string {
  const [family, table, ...name] = chain.split(" ");
  return `table ${family} ${table}, chain ${name.join(" ")}`;
}

interface Silenced {
  readonly chain: string;
  readonly bridge: string;
  readonly ports: readonly Published[];
}

/** In the words of the program that made the chain; its rules would not outlast its next start otherwise. */
function remedy(firewall: Firewall, { chain, bridge, ports }: Silenced): string {
  const [port] = ports;
  const chains = [...firewall.chains.values()];
  if (port && /^ip6? filter FORWARD$/.test(chain) && chains.some(isOfUfw))
    return `To let it through: ufw route allow proto ${port.protocol} to any port ${port.containerPort}`;
  if (/^inet firewalld /.test(chain)) return `To let it through: firewall-cmd --zone=trusted --add-interface=${bridge}`;
  if (chain === "ip filter FORWARD" && firewall.chains.has("ip filter DOCKER-USER"))
    return `To let it through: nft insert rule ip filter DOCKER-USER oifname ${bridge} accept`;
  return `To let it through: nft insert rule ${chain} oifname ${bridge} ct status dnat accept`;
}

function isOfUfw({ name }: Chain): boolean {
  return /^ip6? filter ufw6?-/.test(name);
}

const shownMost = 5;

function portsText(ports: readonly Published[]): string {
  const words = ports.map(
    ({ hostPort, containerPort, protocol }) => `${hostPort ?? `of ${containerPort}`}/${protocol}`,
  );
  const shown = [...new Set(words)];
  const more = shown.length > shownMost ? ` and ${shown.length - shownMost} more` : "";
  const article = shown[0]?.startsWith("of") ? "the " : "";
  return `${article}published port${shown.length > 1 ? "s" : ""} ${shown.slice(0, shownMost).join(", ")}${more}`;
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

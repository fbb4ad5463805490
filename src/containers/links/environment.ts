import type { ContainerConfig } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import type { Row } from "../table.ts";
import { type Linked, presentlyLinked, requireLinked } from "./links.ts";

/** Variables about the links of a container that starts. Throws as {@link requireLinked}. */
export function startEnvironment(ctx: Context, row: Row): string[] {
  return requireLinked(ctx, row).flatMap((link) => variablesOf(row, link));
}

/** For a further process in it: a target that has ended meanwhile has none. */
export function execEnvironment(ctx: Context, row: Row): string[] {
  return presentlyLinked(ctx, row).flatMap((link) => variablesOf(row, link));
}

function variablesOf(row: Row, { alias, target, address }: Linked): string[] {
  return linkVariables({ alias, owner: row.name, address, config: target.config });
}

export interface LinkFacts {
  readonly alias: string;
  /** The name of the container that has the link. */
  readonly owner: string;
  /** Of the target. */
  readonly address: string;
  readonly config: Pick<ContainerConfig, "Env" | "ExposedPorts">;
}

interface Port {
  readonly number: number;
  readonly protocol: string;
}

/**
 * What Docker tells a container about one that it is linked to: each exposed port, runs of at least three by their ends, too,
 * the lowest one once more as the default, the link's name, and the target's own variables but HOME and PATH.
 */
export function linkVariables({ alias, owner, address, config }: LinkFacts): string[] {
  const prefix = alias.toUpperCase().replaceAll("-", "_");
  const ports = portsOf(config.ExposedPorts ?? {});
  const url = ({ number, protocol }: Port) => `${protocol}://${address}:${number}`;
  const [lowest] = ports;
  const own = config.Env.filter((entry) => entry.includes("=") && !/^(HOME|PATH)=/.test(entry));
  return [
    ...(lowest ? [`${prefix}_PORT=${url(lowest)}`] : []),
    ...runsOf(ports).flatMap((run) => runVariables(prefix, { run, address, url })),
    ...ports.flatMap((port) => {
      const name = `${prefix}_PORT_${word(port)}`;
      const { number, protocol } = port;
      return [`${name}=${url(port)}`, `${name}_ADDR=${address}`, `${name}_PORT=${number}`, `${name}_PROTO=${protocol}`];
    }),
    `${prefix}_NAME=/${owner}/${alias}`,
    ...own.map((entry) => `${prefix}_ENV_${entry}`),
  ];
}

interface Run {
  readonly first: Port;
  readonly last: Port;
}

function runVariables(prefix: string, how: { run: Run; address: string; url: (port: Port) => string }): string[] {
  const { first, last } = how.run;
  const name = `${prefix}_PORT_${word(first)}`;
  return [
    `${name}_START=${how.url(first)}`,
    `${name}_ADDR=${how.address}`,
    `${name}_PROTO=${first.protocol}`,
    `${name}_PORT_START=${first.number}`,
    `${name}_END=${how.url(last)}`,
    `${name}_PORT_END=${last.number}`,
  ];
}

function word({ number, protocol }: Port): string {
  return `${number}_${protocol.toUpperCase()}`;
}

/** By number, of two with the same number TCP first. */
function portsOf(exposed: NonNullable<ContainerConfig["ExposedPorts"]>): Port[] {
  const ports = Object.keys(exposed).flatMap((key) => {
    const [, number, protocol = "tcp"] = /^(\d+)(?:\/(\w+))?$/.exec(key) ?? [];
    return number === undefined ? [] : [{ number: Number(number), protocol: protocol.toLowerCase() }];
  });
  return ports.toSorted((a, b) => a.number - b.number || order(a) - order(b));
}

function order({ protocol }: Port): number {
  return protocol === "tcp" ? 0 : protocol === "udp" ? 1 : 2;
}

/** Three ports or more whose numbers follow on each other, whatever their protocols. */
function runsOf(ports: readonly Port[]): Run[] {
  const runs: Run[] = [];
  for (let at = 0; at < ports.length; ) {
    let end = at;
    while (end + 1 < ports.length && numberAt(ports, end + 1) === numberAt(ports, end) + 1) end++;
    const [first, last] = [ports[at], ports[end]];
    if (first && last && end - at >= 2) runs.push({ first, last });
    at = end + 1;
  }
  return runs;
}

function numberAt(ports: readonly Port[], at: number): number {
  return ports[at]?.number ?? 0;
}

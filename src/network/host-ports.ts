import { setImmediate } from "node:timers/promises";
import { EngineError } from "../errors/mod.ts";
import { type Net, PortError, type PortGroup } from "../host/mod.ts";
import { type HostSide, hostSideKey, OwnPorts } from "./own-ports.ts";
import type { PortWish, PublishedPort } from "./ports.ts";

/** How often the kernel may choose a port that turns out not to be free on both kinds of addresses. */
const choices = 16;
/** Ports tried, some 10 µs each, until others get their turn. */
const turn = 100;

interface Held {
  readonly group: PortGroup;
  readonly ports: Map<string, PublishedPort>;
}

/**
 * The host's ports that this daemon holds for containers, so that no other program on the host takes one and no other
 * container gets it. They are sockets of this process, so nothing of them outlives it. A kernel without SCTP has no
 * program that could take such a port, and no sockets to hold it with: there our own table keeps containers apart.
 */
export class HostPorts {
  readonly #net: Pick<Net, "portGroup">;
  readonly #isOurs: (port: HostSide) => boolean;
  /** By endpoint. */
  readonly #held = new Map<string, Held>();
  readonly #own = new OwnPorts();
  #tried = 0;

  /** `isOurs` knows also what could not be reserved again. */
  constructor(net: Pick<Net, "portGroup">, isOurs: (port: HostSide) => boolean) {
    this.#net = net;
    this.#isOurs = isOurs;
  }

  /** All or none, in the name of an endpoint, besides what it has. Throws "internal" with Docker's words for the port that was in the way. */
  async reserve(endpointId: string, wishes: readonly PortWish[]): Promise<PublishedPort[]> {
    const fresh: PublishedPort[] = [];
    try {
      for (const wish of wishes) fresh.push(...(await this.#first(endpointId, wish)));
    } catch (err) {
      this.release(endpointId, fresh);
      throw err;
    }
    return fresh;
  }

  /** All that the endpoint has, or these ports alone. */
  release(endpointId: string, ports?: readonly PublishedPort[]): void {
    const held = this.#held.get(endpointId);
    if (!held) return;
    const going = (ports ?? [...held.ports.values()]).filter((port) => held.ports.delete(hostSideKey(port)));
    for (const port of going) this.#own.delete(port);
    if (held.ports.size > 0) held.group.release(going.map(requestOf));
    else {
      held.group[Symbol.dispose]();
      this.#held.delete(endpointId);
    }
  }

  releaseAll(): void {
    for (const endpointId of [...this.#held.keys()]) this.release(endpointId);
  }

  async #first(endpointId: string, wish: PortWish): Promise<PublishedPort[]> {
    let failure: unknown;
    for (const port of candidates(wish)) {
      if (++this.#tried % turn === 0) await setImmediate();
      try {
        return this.#both(endpointId, { wish, port });
      } catch (err) {
        failure ??= err;
      }
    }
    throw failure;
  }

  #both(endpointId: string, { wish, port }: { wish: PortWish; port: number }): PublishedPort[] {
    const one = this.#one(endpointId, { wish, port });
    if (wish.also === undefined) return [one];
    try {
      return [one, this.#one(endpointId, { wish: { ...wish, hostAddress: wish.also }, port: one.hostPort })];
    } catch (err) {
      this.release(endpointId, [one]);
      throw err;
    }
  }

  #one(endpointId: string, { wish, port }: { wish: PortWish; port: number }): PublishedPort {
    const { protocol, containerPort, hostAddress } = wish;
    const side = { protocol, hostAddress, hostPort: port };
    if (this.#own.conflicts(side)) throw allocated(side);
    const held = this.#held.get(endpointId) ?? { group: this.#net.portGroup(), ports: new Map() };
    const made = { ...side, hostPort: this.#bind(held.group, side), containerPort };
    this.#held.set(endpointId, held);
    held.ports.set(hostSideKey(made), made);
    this.#own.add(made);
    return made;
  }

  #bind(group: PortGroup, side: HostSide): number {
    try {
      return group.reserve(requestOf(side));
    } catch (err) {
      if (!(err instanceof PortError)) throw err;
      if (err.code === "EPROTONOSUPPORT" && side.protocol === "sctp") return this.#without(side);
      if (err.code === "EADDRINUSE" && this.#isOurs(side)) throw allocated(side, err);
      throw refused(side, err);
    }
  }

  /** Where the kernel has no sockets of the kind. */
  #without(side: HostSide): number {
    const port = side.hostPort === 0 ? this.#own.free(side) : side.hostPort;
    if (port === undefined) throw new EngineError("internal", `no free ${side.protocol} port on ${side.hostAddress}`);
    return port;
  }
}

function* candidates({ first, last, before }: PortWish): Generator<number> {
  if (before !== undefined) yield before;
  // A port that the kernel chose for one kind of address may be taken for the other: then it chooses again.
  if (first === 0) for (let choice = 0; choice < choices; choice++) yield 0;
  else for (let port = first; port <= last; port++) yield port;
}

function requestOf({ protocol, hostAddress, hostPort }: HostSide) {
  return { protocol, address: hostAddress, port: hostPort };
}

function allocated(side: HostSide, cause?: Error): EngineError {
  return new EngineError("internal", `Bind for ${placeOf(side)} failed: port is already allocated`, { cause });
}

function refused(side: HostSide, cause: PortError): EngineError {
  const at = placeOf(side);
  const call = `listen ${side.protocol}${isSix(side) ? 6 : 4} ${at}: bind: ${reasons[cause.code] ?? cause.code}`;
  return new EngineError("internal", `failed to bind port ${at}/${side.protocol}: ${call}`, { cause });
}

function placeOf(side: HostSide): string {
  return `${isSix(side) ? `[${side.hostAddress}]` : side.hostAddress}:${side.hostPort}`;
}

function isSix({ hostAddress }: HostSide): boolean {
  return hostAddress.includes(":");
}

/** As Go words them. */
const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
};

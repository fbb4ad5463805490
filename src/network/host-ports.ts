import { EngineError } from "../errors/mod.ts";
import { type Net, PortError, type Reservation } from "../host/mod.ts";
import type { PortWish, Protocol, PublishedPort } from "./ports.ts";

type IsOurs = (port: { protocol: Protocol; hostAddress: string; hostPort: number }) => boolean;

/** How often the kernel may choose a port that turns out not to be free on both kinds of addresses. */
const choices = 16;

interface Held {
  readonly reservation: Reservation;
  readonly port: PublishedPort;
}

/**
 * The host's ports that this daemon holds for containers, so that no other program on the host takes one and no other
 * container gets it. They are sockets of this process, so nothing of them outlives it.
 */
export class HostPorts {
  readonly #net: Pick<Net, "reservePort">;
  readonly #isOurs: IsOurs;
  readonly #held = new Map<string, Held[]>();

  constructor(net: Pick<Net, "reservePort">, isOurs: IsOurs) {
    this.#net = net;
    this.#isOurs = isOurs;
  }

  /** All or none, in the name of an endpoint, besides what it has. Throws "internal" with Docker's words for the port that was in the way. */
  reserve(endpointId: string, wishes: readonly PortWish[]): PublishedPort[] {
    const fresh: Held[] = [];
    try {
      for (const wish of wishes) fresh.push(...this.#first(wish));
    } catch (err) {
      for (const { reservation } of fresh) reservation.release();
      throw err;
    }
    this.#held.set(endpointId, [...(this.#held.get(endpointId) ?? []), ...fresh]);
    return fresh.map(({ port }) => port);
  }

  /** All that the endpoint has, or these ports alone. */
  release(endpointId: string, ports?: readonly PublishedPort[]): void {
    const held = this.#held.get(endpointId) ?? [];
    const goes = (one: PublishedPort) => !ports || ports.some((port) => isSamePort(port, one));
    for (const { reservation, port } of held) if (goes(port)) reservation.release();
    const left = held.filter(({ port }) => !goes(port));
    if (left.length > 0) this.#held.set(endpointId, left);
    else this.#held.delete(endpointId);
  }

  releaseAll(): void {
    for (const endpointId of [...this.#held.keys()]) this.release(endpointId);
  }

  #first(wish: PortWish): Held[] {
    let failure: unknown;
    // A port that the kernel chose for one kind of address may be taken for the other: then it chooses again.
    const last = wish.first === 0 ? choices : wish.last;
    for (let port = wish.first; port <= last; port++) {
      try {
        return this.#both(wish, wish.first === 0 ? 0 : port);
      } catch (err) {
        failure ??= err;
      }
    }
    throw failure;
  }

  #both({ also, ...wish }: PortWish, port: number): Held[] {
    const one = this.#one(wish, port);
    if (also === undefined) return [one];
    try {
      return [one, this.#one({ ...wish, hostAddress: also }, one.port.hostPort)];
    } catch (err) {
      one.reservation.release();
      throw err;
    }
  }

  #one(wish: PortWish, port: number): Held {
    const { protocol, containerPort, hostAddress } = wish;
    try {
      const reservation = this.#net.reservePort({ protocol, address: hostAddress, port });
      return { reservation, port: { protocol, containerPort, hostAddress, hostPort: reservation.port } };
    } catch (err) {
      throw this.#refusal(err, wish, port);
    }
  }

  #refusal(err: unknown, wish: PortWish, port: number): unknown {
    if (!(err instanceof PortError)) return err;
    const six = wish.hostAddress.includes(":");
    const at = `${six ? `[${wish.hostAddress}]` : wish.hostAddress}:${port}`;
    const ours = this.#isOurs({ ...wish, hostPort: port });
    if (err.code === "EADDRINUSE" && ours) {
      return new EngineError("internal", `Bind for ${at} failed: port is already allocated`, { cause: err });
    }
    const call = `listen ${wish.protocol}${six ? 6 : 4} ${at}: bind: ${reasons[err.code] ?? err.code}`;
    return new EngineError("internal", `failed to bind port ${at}/${wish.protocol}: ${call}`, { cause: err });
  }
}

/** On the host's side. */
export function isSamePort(one: PublishedPort, other: PublishedPort): boolean {
  return one.protocol === other.protocol && one.hostPort === other.hostPort && one.hostAddress === other.hostAddress;
}

/** As Go words them. */
const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
};

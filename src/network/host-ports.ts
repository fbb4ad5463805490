import { EngineError } from "../errors/mod.ts";
import { type Net, PortError, type Reservation } from "../host/mod.ts";
import type { PortWish, Protocol, PublishedPort } from "./ports.ts";

type IsOurs = (port: { protocol: Protocol; hostAddress: string; hostPort: number }) => boolean;

/**
 * The host's ports that this daemon holds for containers, so that no other program on the host takes one and no other
 * container gets it. They are sockets of this process, so nothing of them outlives it.
 */
export class HostPorts {
  readonly #net: Pick<Net, "reservePort">;
  readonly #isOurs: IsOurs;
  readonly #held = new Map<string, Reservation[]>();

  constructor(net: Pick<Net, "reservePort">, isOurs: IsOurs) {
    this.#net = net;
    this.#isOurs = isOurs;
  }

  /** All or none, in the name of an endpoint. Throws "internal" with Docker's words for the port that was in the way. */
  reserve(endpointId: string, wishes: readonly PortWish[]): PublishedPort[] {
    const held: Reservation[] = [];
    this.#held.set(endpointId, held);
    try {
      return wishes.map((wish) => this.#first(wish, held));
    } catch (err) {
      this.release(endpointId);
      throw err;
    }
  }

  release(endpointId: string): void {
    for (const reservation of this.#held.get(endpointId) ?? []) reservation.release();
    this.#held.delete(endpointId);
  }

  releaseAll(): void {
    for (const endpointId of [...this.#held.keys()]) this.release(endpointId);
  }

  #first(wish: PortWish, held: Reservation[]): PublishedPort {
    let failure: unknown;
    for (let port = wish.first; port <= wish.last; port++) {
      try {
        const reservation = this.#net.reservePort({ protocol: wish.protocol, address: wish.hostAddress, port });
        held.push(reservation);
        const { protocol, containerPort, hostAddress } = wish;
        return { protocol, containerPort, hostAddress, hostPort: reservation.port };
      } catch (err) {
        failure ??= this.#refusal(err, wish, port);
      }
    }
    throw failure;
  }

  #refusal(err: unknown, wish: PortWish, port: number): unknown {
    if (!(err instanceof PortError)) return err;
    const at = `${wish.hostAddress}:${port}`;
    const ours = this.#isOurs({ ...wish, hostPort: port });
    if (err.code === "EADDRINUSE" && ours) {
      return new EngineError("internal", `Bind for ${at} failed: port is already allocated`, { cause: err });
    }
    const call = `listen ${wish.protocol}4 ${at}: bind: ${reasons[err.code] ?? err.code}`;
    return new EngineError("internal", `failed to bind port ${at}/${wish.protocol}: ${call}`, { cause: err });
  }
}

/** As Go words them. */
const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
};

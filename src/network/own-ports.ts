import type { PublishedPort } from "./ports.ts";

/** Where a port is on the host. */
export type HostSide = Pick<PublishedPort, "protocol" | "hostAddress" | "hostPort">;

/** A port's name on the host. */
export function hostSideKey({ protocol, hostAddress, hostPort }: HostSide): string {
  return `${protocol} ${hostAddress} ${hostPort}`;
}

/** Which of the host's ports this daemon's containers have. */
export class OwnPorts {
  /** Addresses by protocol and port. */
  readonly #addresses = new Map<string, readonly string[]>();

  add({ protocol, hostAddress, hostPort }: HostSide): void {
    const key = `${protocol} ${hostPort}`;
    this.#addresses.set(key, [...(this.#addresses.get(key) ?? []), hostAddress]);
  }

  delete({ protocol, hostAddress, hostPort }: HostSide): void {
    const key = `${protocol} ${hostPort}`;
    const left = (this.#addresses.get(key) ?? []).filter((address) => address !== hostAddress);
    if (left.length > 0) this.#addresses.set(key, left);
    else this.#addresses.delete(key);
  }

  /** True when one of them has the port on this address, or either of them means all addresses of its kind. */
  conflicts({ protocol, hostAddress, hostPort }: HostSide): boolean {
    const taken = this.#addresses.get(`${protocol} ${hostPort}`) ?? [];
    const all = hostAddress.includes(":") ? "::" : "0.0.0.0";
    return taken.some(
      (address) => address === hostAddress || address === all || (hostAddress === all && isSameKind(address, all)),
    );
  }

  /** A port that none of them has, of those that the kernel chooses from by default (ip-sysctl, ip_local_port_range). */
  free(at: Omit<HostSide, "hostPort">): number | undefined {
    const [first, last] = [32768, 60999];
    const count = last - first + 1;
    const start = Math.floor(Math.random() * count);
    for (let step = 0; step < count; step++) {
      const hostPort = first + ((start + step) % count);
      if (!this.conflicts({ ...at, hostPort })) return hostPort;
    }
    return undefined;
  }
}

function isSameKind(one: string, other: string): boolean {
  return one.includes(":") === other.includes(":");
}

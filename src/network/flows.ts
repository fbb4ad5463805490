import type { Net } from "../host/mod.ts";
import { formatAddress } from "./address.ts";
import { familyOf } from "./nft/state.ts";
import { type PublishedPort, protocolNumbers } from "./ports.ts";
import type { EndpointRow } from "./table.ts";

/**
 * The kernel looks at nft's maps for the first packet of a flow only. Without connections, a flow goes on where it went
 * before for as long as the client keeps sending: it has to be forgotten when that has changed. A TCP client learns from
 * a reset.
 */
const lasting = ["udp", "sctp"] as const;
const families = ["ip", "ip6"] as const;

/** Those of clients that sent before these ports were published. */
export async function forgetFlowsTo(net: Pick<Net, "forgetFlows">, ports: readonly PublishedPort[]): Promise<void> {
  for (const group of groups(ports)) await net.forgetFlows(group);
}

/** Those that lead to these ports of an endpoint. */
export async function forgetFlowsInto(
  net: Pick<Net, "forgetFlows">,
  endpoint: Pick<EndpointRow, "address" | "address6"> & { readonly ports: readonly PublishedPort[] },
): Promise<void> {
  for (const group of groups(endpoint.ports)) {
    const answeredBy = group.family === "ip" ? formatAddress(endpoint.address) : endpoint.address6;
    if (answeredBy !== undefined) await net.forgetFlows({ ...group, answeredBy });
  }
}

function groups(ports: readonly PublishedPort[]) {
  return lasting.flatMap((protocol) =>
    families.flatMap((family) => {
      const own = ports.filter((port) => port.protocol === protocol && familyOf(port) === family);
      const numbers = new Set(own.map(({ hostPort }) => hostPort));
      return numbers.size > 0 ? [{ family, protocol: protocolNumbers[protocol], ports: numbers }] : [];
    }),
  );
}

import type { Tx } from "../db/mod.ts";
import type { Context } from "./context.ts";
import type { NetworkRow } from "./table.ts";

/** One event about a network, when the transaction has committed. */
export function publishAfter(
  tx: Tx,
  context: Context,
  event: { action: "create" | "destroy" | "connect" | "disconnect"; network: NetworkRow; holder?: string },
): void {
  const { network, holder } = event;
  const attributes = {
    name: network.name,
    type: network.driver,
    ...(holder === undefined ? {} : { container: holder }),
  };
  tx.afterCommit(() => context.events.publish({ type: "network", action: event.action, id: network.id, attributes }));
}

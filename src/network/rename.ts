import type { Context } from "./context.ts";
import { resolvesNames } from "./dns/names.ts";
import { endpointsOf, networkById, renameEndpoints } from "./table.ts";

/** The holder is found under its new name from now on, in every network that it is in. */
export async function rename(context: Context, holder: string, name: string): Promise<void> {
  await context.locks.run(`holder:${holder}`, async () => {
    context.db.write((tx) => renameEndpoints(tx, holder, name));
    for (const row of context.db.read((q) => endpointsOf(q, holder))) {
      const network = context.db.read((q) => networkById(q, row.networkId));
      if (network && resolvesNames(network)) await context.names.join(network, row);
    }
  });
}

import { rm } from "node:fs/promises";
import type { Context } from "./context.ts";
import { unmountRootfs } from "./mounts.ts";
import { ownsSandbox } from "./network.ts";
import { pathsOf } from "./paths.ts";
import type { Row } from "./table.ts";
import { tearDown } from "./undo.ts";

/** Everything that a running container has besides its rows: process, network, mounts. Nothing of it may be there. */
export async function takeDown(ctx: Context, row: Row): Promise<void> {
  const { bundle, execs } = pathsOf(ctx.config, row.id);
  await tearDown(
    async () => {
      await ctx.runtime.delete(row.id);
      await tearDown(
        () => unmountRootfs(ctx, row.id),
        () => rm(bundle, { recursive: true, force: true }),
        () => rm(execs, { recursive: true, force: true }),
      );
    },
    () => (ownsSandbox(row) ? ctx.networks.closeSandbox(row.id) : undefined),
  );
}

import { rm } from "node:fs/promises";
import type { Context } from "./context.ts";
import { unmountRootfs } from "./mounts.ts";
import { ownsSandbox } from "./network.ts";
import { pathsOf } from "./paths.ts";
import type { Row } from "./table.ts";
import { tearDown } from "./undo.ts";

/** Everything that a running container has besides its rows: process, network, mounts. Nothing of it may be there. */
export async function takeDown(ctx: Context, row: Row): Promise<void> {
  await tearDown(
    () => endProcess(ctx, row),
    () => unmountRootfs(ctx, row.id),
  );
}

/** The process, what the runtime keeps of it, its user namespace, and its network. */
export async function endProcess(ctx: Context, row: Row): Promise<void> {
  const { bundle, execs } = pathsOf(ctx.config, row.id);
  await tearDown(
    async () => {
      await ctx.runtime.delete(row.id);
      await tearDown(
        () => rm(bundle, { recursive: true, force: true }),
        () => rm(execs, { recursive: true, force: true }),
      );
      ctx.userns.close(row.id);
    },
    () => (ownsSandbox(row) ? ctx.networks.closeSandbox(row.id) : undefined),
  );
}

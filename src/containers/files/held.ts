import type { IdMap } from "../../host/mod.ts";
import type { Context } from "../context.ts";
import { mountRootfs, unmountRootfs } from "../mounts.ts";
import { resolve } from "../refs.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";
import { futureIdMap } from "../userns.ts";

export interface Held extends AsyncDisposable {
  readonly row: Row;
  /** It runs: its root is mounted anyway, and its lock is not held. */
  readonly live: boolean;
}

export interface HoldOptions {
  readonly signal: AbortSignal;
  /** Mounts one that does not run as it is while it runs: with owners as they are outside of its user namespace. */
  readonly mapped?: boolean;
  /** Called under the lock: with the root of a container that does not run mounted, or for one that runs. */
  readonly prepare?: (row: Row, map: IdMap | undefined) => Promise<void>;
}

/**
 * A container's root file system to be read or written. One that does not run is mounted, and its lock held, until it is
 * let go: it cannot be started meanwhile.
 */
export async function hold(ctx: Context, id: string, options: HoldOptions): Promise<Held> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: ready, resolve: say, reject } = Promise.withResolvers<{ row: Row; live: boolean }>();
  const locked = ctx.locks.run(id, () => whileHeld(ctx, { id, released, say, options }), options.signal);
  locked.catch(reject);
  const held = await ready;
  return {
    ...held,
    [Symbol.asyncDispose]: async () => {
      release();
      if (!held.live) await locked;
    },
  };
}

interface Holding {
  readonly id: string;
  readonly released: Promise<void>;
  readonly say: (state: { row: Row; live: boolean }) => void;
  readonly options: HoldOptions;
}

async function whileHeld(ctx: Context, { id, released, say, options }: Holding): Promise<void> {
  const row = resolve(ctx.table, id);
  if (isLive(row.phase)) {
    await options.prepare?.(row, undefined);
    return say({ row, live: true });
  }
  try {
    const map = options.mapped ? await futureIdMap(ctx, row) : undefined;
    await mountRootfs(ctx, id, map);
    await options.prepare?.(row, map);
    say({ row, live: false });
    await released;
  } finally {
    await unmountRootfs(ctx, id);
  }
}

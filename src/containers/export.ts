import { packTree } from "../layers/mod.ts";
import type { Bytes } from "../stream/mod.ts";
import type { Context } from "./context.ts";
import { publish } from "./event.ts";
import { mountRootfs, unmountRootfs } from "./mounts.ts";
import { pathsOf } from "./paths.ts";
import { resolve } from "./refs.ts";
import { isLive } from "./transition.ts";
import { idMapOf } from "./userns.ts";

/** The container's file system as a tar. One that does not run is mounted meanwhile, under its lock: it cannot be started before the end. */
export function exportRootfs(ctx: Context, ref: string, signal: AbortSignal): Bytes {
  return pack(ctx, { id: resolve(ctx.table, ref).id, signal });
}

async function* pack(ctx: Context, { id, signal }: { id: string; signal: AbortSignal }): Bytes {
  await using mounted = await hold(ctx, { id, signal });
  publish(ctx, mounted.row, { action: "export" });
  const owners = idMapOf(ctx, mounted.row);
  yield* packTree(ctx.host.workers, pathsOf(ctx.config, id).rootfs, { signal, ...(owners && { owners }) });
}

/** Holds the lock until it is disposed of where the root had to be mounted; a running container's is there anyway. */
async function hold(ctx: Context, { id, signal }: { id: string; signal: AbortSignal }) {
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const { promise: ready, resolve: say, reject } = Promise.withResolvers<{ live: boolean }>();
  const locked = ctx.locks.run(id, () => whileHeld(ctx, { id, held, say }), signal);
  locked.catch(reject);
  const { live } = await ready;
  const row = resolve(ctx.table, id);
  return {
    row,
    [Symbol.asyncDispose]: async () => {
      release();
      if (!live) await locked;
    },
  };
}

interface Holding {
  readonly id: string;
  readonly held: Promise<void>;
  readonly say: (state: { live: boolean }) => void;
}

async function whileHeld(ctx: Context, { id, held, say }: Holding): Promise<void> {
  const { phase } = resolve(ctx.table, id);
  if (isLive(phase)) return say({ live: true });
  try {
    await mountRootfs(ctx, id);
    say({ live: false });
    await held;
  } finally {
    await unmountRootfs(ctx, id);
  }
}

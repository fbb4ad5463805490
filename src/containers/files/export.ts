import { packTree } from "../../layers/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import type { Context } from "../context.ts";
import { publish } from "../event.ts";
import { pathsOf } from "../paths.ts";
import { resolve } from "../refs.ts";
import { idMapOf } from "../userns.ts";
import { hold } from "./held.ts";

/** The container's file system as a tar, without what is mounted in it. */
export function exportRootfs(ctx: Context, ref: string, signal: AbortSignal): Bytes {
  return pack(ctx, { id: resolve(ctx.table, ref).id, signal });
}

async function* pack(ctx: Context, { id, signal }: { id: string; signal: AbortSignal }): Bytes {
  await using held = await hold(ctx, id, { signal });
  publish(ctx, held.row, { action: "export" });
  const owners = idMapOf(ctx, held.row);
  yield* packTree(ctx.host.workers, pathsOf(ctx.config, id).rootfs, { signal, ...(owners && { owners }) });
}

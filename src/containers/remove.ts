import { rm } from "node:fs/promises";
import { after } from "../async/mod.ts";
import { EngineError, isKind, messageOf } from "../errors/mod.ts";
import type { Context } from "./context.ts";
import { publish } from "./event.ts";
import { sendSignal } from "./kill.ts";
import { removeLink } from "./links/remove.ts";
import { unmountRootfs } from "./mounts.ts";
import { pathsOf, snapshotKey } from "./paths.ts";
import { resolve } from "./refs.ts";
import type { Row } from "./table.ts";
import { endProcess } from "./take-down.ts";
import { isLive, transition } from "./transition.ts";
import { tearDown } from "./undo.ts";

export interface RemoveOptions {
  readonly force: boolean;
  readonly volumes: boolean;
  readonly link: boolean;
}

/** How long a killed process may take to be gone, in milliseconds. */
const deathLimit = 10_000;

export async function remove(ctx: Context, ref: string, options: RemoveOptions): Promise<void> {
  if (options.link) return removeLink(ctx, ref);
  const { id } = resolve(ctx.table, ref);
  for (let removed = false; !removed; ) {
    if (options.force) await killFirst(ctx, id);
    removed = await ctx.locks.run(id, () => removeStill(ctx, { id, ref, options }));
  }
}

interface Wish {
  readonly id: string;
  readonly ref: string;
  readonly options: RemoveOptions;
}

/** False when somebody has started it again since it was killed: it must not go while it runs. */
async function removeStill(ctx: Context, { id, ref, options }: Wish): Promise<boolean> {
  const row = ctx.table.get(id);
  if (!row && options.force) return true; // its own --rm was faster
  if (!row) throw new EngineError("not-found", `No such container: ${ref}`);
  transition(row.phase, options.force ? "forceRemove" : "remove", row);
  if (isLive(row.phase)) return false;
  await removeLocked(ctx, { row, volumes: options.volumes });
  return true;
}

/** The process must be gone and its exit dealt with before its container can be removed. */
async function killFirst(ctx: Context, id: string): Promise<void> {
  const ended = await ctx.locks.run(id, async () => {
    const row = ctx.table.get(id);
    if (!row) return undefined; // its own --rm was faster
    if (row.phase !== "removing") transition(row.phase, "forceRemove", row);
    if (!isLive(row.phase)) return undefined;
    const marked = ctx.table.update(id, { stoppedByUser: true });
    const waiting = ctx.waiters.next(id);
    waiting.catch(() => undefined);
    await sendSignal(ctx, { row: marked, signal: 9, final: true });
    return { waiting };
  });
  if (!ended) return;
  const stop = new AbortController();
  const late = after(deathLimit, stop.signal).then(
    () => true,
    () => false,
  );
  const tooLate = await Promise.race([ended.waiting.then(() => false), late]);
  stop.abort();
  const row = ctx.table.get(id);
  if (tooLate && row && isLive(row.phase)) {
    throw new EngineError(
      "internal",
      `cannot remove container "/${row.name}": could not kill container: its process ${row.pid} does not end`,
    );
  }
}

export interface Removal {
  readonly row: Row;
  /** Its anonymous ones go with it. */
  readonly volumes: boolean;
  /** What of the container's end is still to be done, beside its removal. */
  readonly meanwhile?: () => Promise<void>;
}

/** Removes a container whose process has ended; the caller holds its lock. What could not be removed leaves it "dead", to be tried again. */
export async function removeLocked(ctx: Context, { row, volumes, meanwhile }: Removal): Promise<void> {
  ctx.retries.forget(row.id);
  await ctx.logs.leave(row.id);
  if (row.phase !== "removing") ctx.table.update(row.id, { phase: "removing" });
  try {
    await tearDown(
      () => meanwhile?.(),
      () => (row.phase === "dead" ? endProcess(ctx, row) : undefined),
      async () => {
        await unmountRootfs(ctx, row.id);
        await ctx.snapshots.remove(snapshotKey(row.id));
      },
      () => releaseVolumes(ctx, { row, anonymous: volumes }),
      () => rm(pathsOf(ctx.config, row.id).home, { recursive: true, force: true }),
    );
  } catch (err) {
    ctx.table.update(row.id, { phase: "dead", error: messageOf(err) });
    throw err;
  }
  ctx.execs.dropOf(row.id);
  ctx.health.forget(row.id);
  ctx.hubs.get(row.id)?.close();
  ctx.table.delete(row.id, (tx) => tx.afterCommit(() => publish(ctx, row, { action: "destroy" })));
  ctx.waiters.tell(row.id, { kind: "removed", code: row.exitCode });
}

/** Lets go of the container's volumes, and when `anonymous` removes those that the engine named and nobody else has. */
export async function releaseVolumes(
  ctx: Context,
  { row, anonymous }: { row: Row; anonymous: boolean },
): Promise<void> {
  for (const entry of row.mounts) {
    if (entry.type !== "volume" || entry.name === undefined) continue;
    await ctx.volumes.release(entry.name, row.id);
    if (!anonymous || !entry.anonymous) continue;
    try {
      await ctx.volumes.remove(entry.name, true);
    } catch (err) {
      if (!isKind(err, "conflict")) throw err; // another container holds it by --volumes-from
    }
  }
}

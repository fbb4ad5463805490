import { statSync } from "node:fs";
import { after } from "../../async/mod.ts";
import { EngineError, isKind } from "../../errors/mod.ts";
import { type IdMap, openProcessRoot, type ProcessRoot } from "../../host/mod.ts";
import { rootOf } from "../../userns/mod.ts";
import type { Context } from "../context.ts";
import { lastingMounts } from "../mounts.ts";
import { pathsOf } from "../paths.ts";
import { resolve } from "../refs.ts";
import type { Row } from "../table.ts";
import { idMapOf } from "../userns.ts";
import { hold } from "./held.ts";

/** What a container sees as its files, to be entered by a job of a worker thread. */
export interface View extends AsyncDisposable {
  readonly row: Row;
  readonly root: string;
  readonly hideDev: boolean;
  /** Of the container's user namespace: the root shows owners as they are outside of it. */
  readonly owners: IdMap | undefined;
}

/** What is found of a container that runs. */
interface Running {
  readonly root: ProcessRoot;
  readonly owners: IdMap | undefined;
}

/** How often, at most, to look for the end of a process that is there no more to be dealt with, and how long in between, in milliseconds. */
const patience = { tries: 200, pause: 25 } as const;

/**
 * A container that runs is seen as its processes see it, tmpfs included, through its mount namespace, which stays as long
 * as the view does, and without its lock: a slow reader keeps nobody from stopping it. One that does not run is mounted
 * with its volumes and binds and for its user namespace, as at start, under its lock. Throws "conflict" for one that is
 * being removed.
 */
export async function openView(ctx: Context, ref: string, signal: AbortSignal): Promise<View> {
  const { id } = resolve(ctx.table, ref);
  for (let tries = 0; tries < patience.tries; tries++) {
    const view = await tryView(ctx, id, signal);
    if (view) return view;
    await after(patience.pause, signal);
  }
  throw new EngineError("unavailable", `the files of container ${id} cannot be reached: its process has gone`);
}

/** undefined when the process has just ended and the row does not say so yet. */
async function tryView(ctx: Context, id: string, signal: AbortSignal): Promise<View | undefined> {
  const { rootfs } = pathsOf(ctx.config, id);
  await using undo = new AsyncDisposableStack();
  let running: Running | undefined;
  let owners: IdMap | undefined;
  undo.defer(() => running?.root[Symbol.dispose]());
  const prepare = async (row: Row, map: IdMap | undefined) => {
    refuseLeaving(row);
    if (row.pid > 0) running = findRunning(ctx, row);
    else ctx.host.mounts.graft(rootfs, await lastingMounts(ctx, row, map), map && { owner: rootOf(map) });
    owners = running?.owners ?? map;
  };
  const { row, live } = undo.use(await hold(ctx, id, { signal, mapped: true, prepare }));
  if (live && !running) return undefined;
  const kept = undo.move();
  return {
    row,
    root: running?.root.path ?? rootfs,
    owners,
    hideDev: !row.mounts.some(({ destination }) => destination === "/dev"),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** The map before the root, which shows that the process was the container's until then. */
function findRunning(ctx: Context, row: Row): Running | undefined {
  const { rootfs } = pathsOf(ctx.config, row.id);
  try {
    const owners = idMapOf(ctx, row);
    const root = openProcessRoot(row.pid, statSync(rootfs, { bigint: true }));
    return root && { root, owners };
  } catch (err) {
    if (isKind(err, "conflict")) return undefined; // no such process
    throw err;
  }
}

function refuseLeaving({ id, phase }: Row): void {
  if (phase === "removing" || phase === "dead" || phase === "creating")
    throw new EngineError("conflict", `container ${id} is being removed: its files cannot be copied`);
}

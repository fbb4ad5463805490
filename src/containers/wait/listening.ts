import { readdir, readFile, readlink } from "node:fs/promises";
import { after } from "../../async/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import type { Context } from "../context.ts";
import { networkModeOf } from "../modes.ts";
import { cgroupPath } from "../spec.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";

/** Between two looks, in milliseconds. */
const pause = 100;
/** The state of a listening socket in proc_net(5)'s tcp tables. */
const listen = "0A";

/**
 * Waits until something in the container's network namespace listens on the TCP port. Nobody connects to it, so servers see
 * nothing. Throws "conflict" when the container ends first or has ended, the signal's reason when it aborts. One that has not been started
 * yet may still be.
 */
export async function untilListening(
  ctx: Context,
  { id, port }: { readonly id: string; readonly port: number },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const row = ctx.table.get(id);
    if (!row) throw new EngineError("conflict", `container ${id} was removed before it listened on port ${port}`);
    if (!isLive(row.phase) && !["created", "restarting"].includes(row.phase)) {
      const ended = `container ${id} is not running (exit code ${row.exitCode})`;
      throw new EngineError("conflict", `${ended}: nothing listens on its port ${port}`);
    }
    if (isLive(row.phase) && (await listens(ctx, { row, port }))) return;
    await after(pause, signal);
  }
}

async function listens(ctx: Context, { row, port }: { row: Row; port: number }): Promise<boolean> {
  const tables = await Promise.all(["tcp", "tcp6"].map((name) => readTable(`/proc/${row.pid}/net/${name}`)));
  const sockets = tables.flatMap((table) => listeners(table, port));
  if (networkModeOf(row.hostConfig.NetworkMode).kind !== "host" || sockets.length === 0) return sockets.length > 0;
  // On the host's network it may be anybody's: it must be a socket of one of the container's own processes.
  const wanted = new Set(sockets.map((inode) => `socket:[${inode}]`));
  const pids = ctx.host.cgroups.pids(cgroupPath(row, ctx.config.cgroupParent));
  const held = await Promise.all(pids.map((pid) => holdsAny(pid, wanted)));
  return held.includes(true);
}

/** It may have ended meanwhile; a kernel without IPv6 has no tcp6. */
function readTable(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}

/** The inodes of sockets that listen on the port, out of /proc/PID/net/tcp or tcp6. */
export function listeners(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = table.split("\n").map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([, local = "", , state, , , , , , inode]) =>
    state === listen && local.endsWith(suffix) && inode !== undefined ? [inode] : [],
  );
}

async function holdsAny(pid: number, wanted: ReadonlySet<string>): Promise<boolean> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch((): string[] => []); // it has ended
  const targets = await Promise.all(names.map((name) => readlink(`${directory}/${name}`).catch(() => "")));
  return targets.some((target) => wanted.has(target));
}

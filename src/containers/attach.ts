import type { HijackedSocket } from "../http/mod.ts";
import { readFrames } from "../stream/mod.ts";
import type { AttachOptions, AttachSession } from "./containers.ts";
import type { Context } from "./context.ts";
import { detachKeys } from "./detach-keys.ts";
import { publish } from "./event.ts";
import type { Hub, Reader, StreamName } from "./hub.ts";
import { logs } from "./logs/logs.ts";
import { resolve } from "./refs.ts";
import { serve } from "./serve.ts";
import type { Row } from "./table.ts";
import { isLive, transition } from "./transition.ts";

/** Joins the container's streams now, so that nothing between this answer and the connection is lost; also before it runs. */
export async function attach(ctx: Context, ref: string, options: AttachOptions): Promise<AttachSession> {
  const row = resolve(ctx.table, ref);
  transition(row.phase, "attach", row);
  const keys = detachKeys(options.detachKeys);
  const joined = options.stream ? await join(ctx, { row, options }) : undefined;
  publish(ctx, row, { action: "attach" });
  const raw = row.config.Tty || options.raw === true;
  const kind = raw ? "raw" : "multiplexed";
  const run = async (socket: HijackedSocket) => {
    if (options.logs) await replay(ctx, { row, options, socket, raw });
    if (!joined) return;
    const { hub, reader } = joined;
    const stdin = options.stdin && row.config.OpenStdin;
    const request = {
      hub,
      reader,
      socket,
      detachKeys: keys,
      tty: row.config.Tty,
      raw,
      stdin,
      closeStdin: row.config.StdinOnce,
    };
    const outcome = await serve(request);
    if (outcome === "detached") publish(ctx, row, { action: "detach" });
  };
  return { kind, serve: run, leave: () => joined?.reader.leave() };
}

async function join(
  ctx: Context,
  { row, options }: { row: Row; options: AttachOptions },
): Promise<{ hub: Hub; reader: Reader }> {
  const names: StreamName[] = [];
  if (options.stdout) names.push("stdout");
  if (options.stderr) names.push("stderr");
  const hub = ctx.hubs.open(row.id);
  const reader = hub.join(new Set(names));
  if (isLive(row.phase)) await bindLate(ctx, row.id);
  return { hub, reader };
}

/** A process that runs without a connection gets one under the lock, so that it never gets two. */
export async function bindLate(ctx: Context, id: string): Promise<void> {
  await ctx.locks.run(id, async () => {
    const hub = ctx.hubs.open(id);
    const row = ctx.table.get(id);
    if (hub.bound || !row || !isLive(row.phase)) return;
    const streams = await ctx.runtime.attach(id);
    if (streams) hub.bind(streams);
    else hub.close(); // it has just ended
  });
}

async function replay(
  ctx: Context,
  { row, options, socket, raw }: { row: Row; options: AttachOptions; socket: HijackedSocket; raw: boolean },
): Promise<void> {
  const { stdout, stderr } = options;
  const past = { since: 0n, until: 0n, follow: false, timestamps: false, details: false };
  const { kind, bytes } = await logs(ctx, row.id, { stdout, stderr, ...past, signal: socket.signal });
  if (kind === "raw" || !raw) for await (const chunk of bytes) await socket.write(chunk);
  else for await (const piece of readFrames(bytes)) await socket.write(piece.bytes);
}

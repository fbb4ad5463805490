import { EngineError } from "../../errors/mod.ts";
import type { Renaming } from "../../volumes/mod.ts";
import type { HostConfig } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import type { MountEntry } from "../mount-entry.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";

/** Gives a volume another name, also where containers mention it: none of them may run, or be started meanwhile. */
export async function renameVolume(ctx: Context, from: string, to: string): Promise<void> {
  const ids = [...ctx.table.all()].filter((row) => mentions(row, from)).map(({ id }) => id);
  await withLocks(ctx, ids.toSorted(), async () => {
    refuseLive(ctx, from);
    const locked = new Set(ids);
    await ctx.volumes.rename(from, to, (renaming) => renameIn(ctx, { renaming, locked }));
  });
}

async function withLocks(ctx: Context, [first, ...rest]: readonly string[], body: () => Promise<void>): Promise<void> {
  if (first === undefined) return body();
  await ctx.locks.run(first, () => withLocks(ctx, rest, body));
}

function mentions({ mounts }: Row, volume: string): boolean {
  return mounts.some(({ type, name }) => type === "volume" && name === volume);
}

function refuseLive(ctx: Context, volume: string): void {
  const live = [...ctx.table.all()].filter((row) => mentions(row, volume) && isLive(row.phase));
  if (live.length === 0) return;
  const ids = live.map(({ id }) => id).join(", ");
  throw new EngineError("conflict", `rename ${volume}: volume is in use by running containers - [${ids}]`);
}

/** Inside the volume's own transaction. */
function renameIn(
  ctx: Context,
  { renaming: { from, to }, locked }: { renaming: Renaming; locked: ReadonlySet<string> },
): void {
  for (const row of [...ctx.table.all()].filter((one) => mentions(one, from))) {
    if (!locked.has(row.id)) {
      throw new EngineError("conflict", `rename ${from}: container ${row.id} is being made with it; try again`);
    }
    const mounts = row.mounts.map((entry) => renamed(entry, { from, to }));
    ctx.table.update(row.id, { mounts, hostConfig: renamedHost(row.hostConfig, { from, to }) });
  }
}

function renamed(entry: MountEntry, { from, to }: Renaming): MountEntry {
  if (entry.type !== "volume" || entry.name !== from) return entry;
  // The directory's name is the volume's: NAME/_data.
  return { ...entry, name: to, anonymous: false, source: entry.source.replace(/[^/]+(?=\/_data$)/, to) };
}

function renamedHost(host: HostConfig, { from, to }: Renaming): HostConfig {
  const Binds = host.Binds?.map((bind) => (bind.startsWith(`${from}:`) ? `${to}${bind.slice(from.length)}` : bind));
  const Mounts = host.Mounts?.map((one) =>
    one.Type === "volume" && one.Source === from ? { ...one, Source: to } : one,
  );
  return { ...host, ...(Binds && { Binds }), ...(Mounts && { Mounts }) };
}

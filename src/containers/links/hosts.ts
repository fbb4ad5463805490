import { type FileHandle, open } from "node:fs/promises";
import { messageOf } from "../../errors/mod.ts";
import { baseHostLines, type HostLine, ownNames, updatedHosts } from "../../rootfs/mod.ts";
import type { Context } from "../context.ts";
import { wantedNetworks } from "../modes.ts";
import { pathsOf } from "../paths.ts";
import type { Row } from "../table.ts";
import { isLive } from "../transition.ts";
import { linksOf, presentlyLinked } from "./links.ts";

/** What a container may have written into its /etc/hosts and finds there again after an update; more is thrown away. */
const largest = 1 << 20;

/**
 * Brings a container's /etc/hosts to what its networks and links are now: its own addresses, and the names that links
 * give. What the container itself wrote stays, but for lines about the same names. `dropped` are aliases of links that it had.
 * Nothing happens where it has no network now.
 */
export async function refreshHosts(ctx: Context, id: string, dropped: readonly string[] = []): Promise<void> {
  // A file has one writer at a time, who looks at what is true once it is its turn: the last one has seen everything.
  await ctx.locks.run(`hosts:${id}`, async () => {
    const row = ctx.table.get(id);
    if (!row || !(isLive(row.phase) || ctx.networks.endpoints(id).length > 0)) return;
    await rewrite(pathsOf(ctx.config, id).hosts, (text) => {
      const lines = [...linkLines(ctx, row), ...ownLines(ctx, row)];
      const base = baseHostLines({
        extraHosts: row.hostConfig.ExtraHosts ?? [],
        hostGateway: () => hostGateway(ctx, row),
      });
      return updatedHosts(text, { base, lines, names: managedNames(row, dropped) });
    });
  });
}

/** The same for all that have a link to a container whose addresses have changed. What goes wrong with theirs is not its failure. */
export async function refreshLinkers(ctx: Context, target: Row): Promise<void> {
  const linkers = [...ctx.table.all()].filter((row) => isLinkedTo(row, target));
  const done = await Promise.allSettled(linkers.map(({ id }) => refreshHosts(ctx, id)));
  for (const result of done) {
    if (result.status === "fulfilled") continue;
    ctx.log.warn("Update /etc/hosts of a linked container", { target: target.id, error: messageOf(result.reason) });
  }
}

/** The host as the container sees it in the first of its networks that leads there, unless the daemon was told what to say. */
export function hostGateway(ctx: Pick<Context, "networks" | "config">, row: Row): string | undefined {
  const [told] = ctx.config.defaults?.hostGateways ?? [];
  const own = [...wantedNetworks(row).keys(), "bridge"];
  return told ?? own.map((name) => ctx.networks.hostAddress(name)).find((address) => address !== undefined);
}

function isLinkedTo(row: Row, target: Row): boolean {
  return linksOf(row).some(({ id }) => id === target.id);
}

function linkLines(ctx: Context, row: Row): HostLine[] {
  return presentlyLinked(ctx, row).map(({ alias, target, address }) => ({
    address,
    names: [...new Set([alias, target.config.Hostname, target.name])].filter((name) => /^\S+$/.test(name)),
  }));
}

function ownLines(ctx: Context, row: Row): HostLine[] {
  const names = ownNames(row.config.Hostname, row.config.Domainname);
  const addresses = ctx.networks.endpoints(row.id).flatMap(({ address, address6 }) => [address, address6 ?? ""]);
  return addresses.filter(Boolean).map((address) => ({ address, names }));
}

/** The first names of lines that are the engine's. */
function managedNames(row: Row, dropped: readonly string[]): ReadonlySet<string> {
  const own = ownNames(row.config.Hostname, row.config.Domainname).slice(0, 1);
  const aliases = linksOf(row).map(({ alias }) => alias);
  return new Set([...own, ...aliases, ...dropped]);
}

/** In place, since the file is mounted; one that is gone belongs to a container that is going, too. */
async function rewrite(path: string, change: (text: string) => string): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(path, "r+");
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === "ENOENT") return;
    throw err;
  }
  await using opened = file;
  const before = (await opened.stat()).size > largest ? "" : await opened.readFile("utf8");
  const after = change(before);
  if (after === before) return;
  const bytes = Buffer.from(after);
  await opened.write(bytes, 0, bytes.length, 0);
  await opened.truncate(bytes.length);
}

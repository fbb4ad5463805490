import type { Query } from "../db/mod.ts";
import { isKind } from "../errors/mod.ts";
import { formatAddress } from "./address.ts";
import { type Context, kernelNames } from "./context.ts";
import type { PublishedPort } from "./ports.ts";
import { type NftState, portElement, renderNftTable } from "./render.ts";
import { allPorts, networks } from "./table.ts";
import { nft, ruleHandles } from "./tools.ts";

const dockerUser = "ip filter DOCKER-USER";

/** Brings the whole nft table to what the rows say. */
export function applyTable(context: Context): Promise<void> {
  return context.locks.run("nft", () => nft(context, renderNftTable(context.db.read((q) => stateOf(context, q)))));
}

export function removeTable(context: Context, family: "ip" | "ip6"): Promise<void> {
  const table = `${family} ${kernelNames(context.config.tag).table}`;
  return context.locks.run("nft", () => nft(context, `table ${table}\ndelete table ${table}\n`));
}

/**
 * Publishes an endpoint's ports, or ends that; their rows are there in both cases. When somebody has flushed the
 * ruleset, the table is made anew from the rows first.
 */
export async function changePorts(
  context: Context,
  change: "add" | "delete",
  endpoint: { address: number; address6?: string; ports: readonly PublishedPort[] },
): Promise<void> {
  const elements = endpoint.ports.map((port) => portElement(change, { ...port, address: behind(endpoint, port) }));
  const { table } = kernelNames(context.config.tag);
  const apply = () =>
    context.locks.run("nft", async () => {
      for (const family of ["ip", "ip6"] as const) {
        const own = elements.filter((element) => (element.set.endsWith("6") ? "ip6" : "ip") === family);
        context.host.net.changeElements({ family, table }, own);
      }
    });
  try {
    await apply();
  } catch (err) {
    if (!isKind(err, "not-found")) throw err;
    context.log.warn("nft table or element is missing, making the table anew", { error: err });
    await applyTable(context);
    await apply();
  }
}

/**
 * Lets our bridges through where dockerd drops all that it does not know: an accept of ours cannot undo a drop of
 * theirs, but its chain DOCKER-USER is asked first.
 */
export async function passDockerd(context: Context): Promise<void> {
  const { table } = kernelNames(context.config.tag);
  const old = await ruleHandles(context, dockerUser, table);
  if (!old) return;
  const links = context.db.read(networks).flatMap((row) => (row.bridge ? [row.bridge.link] : []));
  const fresh = links.flatMap((link) =>
    ["iifname", "oifname"].map((side) => `insert rule ${dockerUser} ${side} "${link}" accept comment "${table}"`),
  );
  await nft(context, `${[...deletions(old), ...fresh].join("\n")}\n`);
}

export async function unpassDockerd(context: Context): Promise<void> {
  const old = await ruleHandles(context, dockerUser, kernelNames(context.config.tag).table);
  if (old && old.length > 0) await nft(context, `${deletions(old).join("\n")}\n`);
}

/** The container's address of the kind that the port is published on. */
function behind(endpoint: { address: number; address6?: string | null }, { hostAddress }: PublishedPort): string {
  return hostAddress.includes(":") ? (endpoint.address6 ?? "::") : formatAddress(endpoint.address);
}

function deletions(handles: readonly number[]): string[] {
  return handles.map((handle) => `delete rule ${dockerUser} handle ${handle}`);
}

function stateOf(context: Context, q: Query): NftState {
  return {
    table: kernelNames(context.config.tag).table,
    networks: networks(q).flatMap(({ bridge, internal }) =>
      bridge
        ? [
            {
              ...{ bridge: bridge.link, subnet: bridge.subnet, masquerade: bridge.masquerade, internal },
              ...(bridge.six && { subnet6: bridge.six.subnet }),
            },
          ]
        : [],
    ),
    ports: allPorts(q).map((port) => ({ ...port, address: behind(port, port) })),
  };
}

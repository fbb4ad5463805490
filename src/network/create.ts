import { randomBytes } from "node:crypto";
import { EngineError } from "../errors/mod.ts";
import type { NetworkCreateBody } from "../wire/mod.ts";
import { checkSixFree, checkSubnetFree, choosePool, chooseSix, ensureBridges, removeBridge } from "./bridges.ts";
import { type Context, kernelNames } from "./context.ts";
import { findNetwork, isPredefined } from "./inspect.ts";
import { bridgeChoices, ipamOf } from "./options.ts";
import { publishAfter } from "./publish.ts";
import {
  type BridgeSettings,
  deleteNetwork,
  type NetworkRow,
  networkByName,
  networkInUse,
  putNetwork,
} from "./table.ts";
import { links } from "./tools.ts";

export async function createNetwork(
  context: Context,
  body: NetworkCreateBody,
): Promise<{ id: string; warning: string }> {
  const choices = bridgeChoices(body);
  if (isPredefined(body.Name)) {
    throw new EngineError("forbidden", `operation is not permitted on predefined ${body.Name} network`);
  }
  const id = randomBytes(32).toString("hex");
  // One at a time: a subnet that is free for one is taken for the next.
  return await context.locks.run("network:new", () =>
    context.locks.run(`network:${id}`, async () => {
      const { pool, six: asked, ...rest } = choices;
      const link = choices.link ?? kernelNames(context.config.tag).bridge(id);
      if (pool) await checkSubnetFree(context, pool);
      if (asked) await checkSixFree(context, asked);
      await checkLinkFree(context, link);
      const chosen = pool ? { ...pool, automatic: false } : await choosePool(context);
      const six = body.EnableIPv6 ? (asked ?? (await chooseSix(context))) : undefined;
      const row = networkRow(id, body, { ...rest, ...chosen, link, ...(six && { six }) });
      await makeNetwork(context, row, row.bridge);
      return { id, warning: "" };
    }),
  );
}

export async function removeNetwork(context: Context, idOrName: string): Promise<void> {
  const { id } = context.db.read((q) => findNetwork(q, idOrName));
  await context.locks.run(`network:${id}`, async () => {
    const network = context.db.read((q) => findNetwork(q, id));
    if (isPredefined(network.name)) {
      throw new EngineError("forbidden", `${network.name} is a pre-defined network and cannot be removed`);
    }
    context.db.write((tx) => {
      if (networkInUse(tx, id)) {
        throw new EngineError(
          "forbidden",
          `error while removing network: network ${network.name} id ${id} has active endpoints`,
        );
      }
      deleteNetwork(tx, id);
      publishAfter(tx, context, { action: "destroy", network });
    });
    await context.names.forget(id);
    if (network.bridge) await removeBridge(context, network.bridge);
    await context.nat.remove(network);
  });
}

function networkRow(
  id: string,
  body: NetworkCreateBody,
  bridge: BridgeSettings,
): NetworkRow & { bridge: BridgeSettings } {
  return {
    id,
    name: body.Name,
    driver: "bridge",
    created: new Date().toISOString(),
    bridge,
    ipam: ipamOf(body.IPAM, bridge),
    internal: body.Internal,
    attachable: body.Attachable,
    options: body.Options,
    labels: body.Labels,
  };
}

/** Row, then bridge and rules; nothing is left when it fails. */
async function makeNetwork(context: Context, network: NetworkRow, bridge: BridgeSettings): Promise<void> {
  context.db.write((tx) => {
    if (networkByName(tx, network.name)) {
      throw new EngineError("conflict", `network with name ${network.name} already exists`);
    }
    putNetwork(tx, network);
  });
  try {
    await ensureBridges(context, [network]);
    await context.nat.add(network);
  } catch (err) {
    await removeBridge(context, bridge);
    context.db.write((tx) => deleteNetwork(tx, network.id));
    await context.nat.remove(network);
    throw err;
  }
  context.db.write((tx) => publishAfter(tx, context, { action: "create", network }));
}

async function checkLinkFree(context: Context, link: string): Promise<void> {
  if ((await links(context)).some(({ name }) => name === link)) {
    throw new EngineError("forbidden", `a network link ${link} already exists on this host`);
  }
}

import { randomBytes } from "node:crypto";
import { EngineError } from "../errors/mod.ts";
import type { NetworkCreateBody } from "../wire/mod.ts";
import { ensureBridges, removeBridge } from "./bridges.ts";
import { checkFree, choosePool, chooseSix } from "./choose.ts";
import { checkUnused, configurationRow, type SettledCreate, settleCreate } from "./configuration.ts";
import type { Context } from "./context.ts";
import { checkKernel, ensureParent, removeParent } from "./drivers/parents.ts";
import { type DriverPlan, driverPlan, driverSettings } from "./drivers/plan.ts";
import { findNetwork, isPredefined } from "./inspect.ts";
import { ipamOf } from "./ipam.ts";
import { publishAfter } from "./publish.ts";
import { deleteNetwork, endpointsIn, type NetworkRow, networkByName, networkInUse, putNetwork } from "./table.ts";

export async function createNetwork(
  context: Context,
  body: NetworkCreateBody,
): Promise<{ id: string; warning: string }> {
  const settled = context.db.read((q) => settleCreate(q, body));
  if (settled.ConfigOnly) return keepConfiguration(context, settled);
  const plan = driverPlan(settled);
  if (plan.driver !== "bridge") await checkKernel(context, plan.driver);
  const id = randomBytes(32).toString("hex");
  // One at a time: a subnet that is free for one is taken for the next.
  return await context.locks.run("network:new", () =>
    context.locks.run(`network:${id}`, async () => {
      await makeNetwork(context, placedRow(context, { id, body: settled, plan }));
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
      checkUnused(tx, network);
      if (networkInUse(tx, id)) throw inUse(network, endpointsIn(tx, id));
      deleteNetwork(tx, id);
      publishAfter(tx, context, { action: "destroy", network });
    });
    await context.names.forget(id);
    await removeKernelSide(context, network);
  });
}

function inUse(
  { name }: NetworkRow,
  endpoints: readonly { readonly name: string; readonly id: string }[],
): EngineError {
  const users = endpoints.map((endpoint) => `name:"${endpoint.name}" id:"${endpoint.id.slice(0, 12)}"`).join(", ");
  return new EngineError("forbidden", `error while removing network: network ${name} has active endpoints (${users})`);
}

function keepConfiguration(context: Context, body: SettledCreate): { id: string; warning: string } {
  const network = configurationRow(body);
  context.db.write((tx) => {
    insert(tx, network);
    publishAfter(tx, context, { action: "create", network });
  });
  return { id: network.id, warning: "" };
}

/** With all that was left to choose. Throws "forbidden" when the subnet, the bridge or the parent is another's. */
function placedRow(
  context: Context,
  { id, body, plan }: { id: string; body: SettledCreate; plan: DriverPlan },
): NetworkRow {
  const { pool, six: asked } = plan.addresses;
  const settings = driverSettings(context, id, plan);
  checkFree(context, plan.addresses, settings.checks);
  const chosen = pool ? { ...pool, automatic: false } : choosePool(context, plan.gateway);
  const six = body.EnableIPv6 ? (asked ?? chooseSix(context, plan.gateway)) : undefined;
  const legs = { ...chosen, ...(six && { six }) };
  return {
    id,
    name: body.Name,
    driver: plan.driver,
    created: new Date().toISOString(),
    ...settings.over(legs),
    ipam: ipamOf(body.IPAM, legs),
    internal: body.Internal,
    attachable: body.Attachable,
    options: body.Options,
    labels: body.Labels,
    ...(body.ConfigFrom && { configFrom: body.ConfigFrom }),
  };
}

/** Row, then links and rules; nothing is left when it fails. */
async function makeNetwork(context: Context, network: NetworkRow): Promise<void> {
  context.db.write((tx) => insert(tx, network));
  try {
    await ensureBridges(context, [network]);
    await ensureParent(context, network);
    if (network.bridge) await context.nat.add(network);
  } catch (err) {
    context.db.write((tx) => deleteNetwork(tx, network.id));
    await removeKernelSide(context, network);
    throw err;
  }
  context.db.write((tx) => publishAfter(tx, context, { action: "create", network }));
}

/** To be called when the row has gone. */
async function removeKernelSide(context: Context, network: NetworkRow): Promise<void> {
  const { bridge, vlan } = network;
  if (vlan) await removeParent(context, vlan);
  if (!bridge) return;
  await removeBridge(context, bridge);
  await context.nat.remove(network);
}

function insert(tx: Parameters<typeof putNetwork>[0], network: NetworkRow): void {
  if (networkByName(tx, network.name)) {
    throw new EngineError("conflict", `network with name ${network.name} already exists`);
  }
  putNetwork(tx, network);
}

import { EngineError, messageOf } from "../../errors/mod.ts";
import type { VlanKind } from "../../host/mod.ts";
import { type Context, kernelNames } from "../context.ts";
import { type NetworkRow, networks, type VlanSettings } from "../table.ts";
import { deleteLinks, ipBatch } from "../tools.ts";
import type { VlanDriver } from "./vlan-options.ts";

/** What there is to know of the parent that a network is to have: ours to make or not. Throws "invalid" in Docker's words. */
export function parentOf(
  context: Context,
  id: string,
  { parent, kind }: { readonly parent: string | undefined; readonly kind: VlanKind },
): Pick<VlanSettings, "parent" | "made" | "alone"> {
  if (parent === undefined) return { parent: kernelNames(context.config.tag).parent(id), made: true, alone: true };
  checkSharing(context, parent, kind);
  if (context.host.net.linkKind(parent) === undefined) {
    checkVlanName(context, parent);
    return { parent, made: true, alone: false };
  }
  return { parent, made: usersOf(context, parent).some(({ made }) => made), alone: false };
}

/** Throws "not-implemented" where the kernel has no such links: asked for one on nothing, it says what is wrong first. */
export async function checkKernel(context: Context, type: VlanDriver): Promise<void> {
  const { stderr } = await context.host.processes.run(["ip", "link", "add", "name", "berth-probe", "type", type]);
  if (!isUnknown(stderr)) return;
  throw new EngineError(
    "not-implemented",
    `network driver "${type}" needs a kernel that has ${type}, and this one has not`,
  );
}

/** Makes the network's parent if it is ours and missing, with an alias that says whose it is: a VLAN's name does not. */
export async function ensureParent(context: Context, { vlan }: NetworkRow): Promise<void> {
  if (!vlan?.made || context.host.net.linkKind(vlan.parent) !== undefined) return;
  const { parent } = vlan;
  if (vlan.alone) await makeAlone(context, parent);
  else await makeVlan(context, parent);
  await ipBatch(context, [`link set dev ${parent} alias ${aliasOf(context)}`, `link set ${parent} up`]);
}

/** To be called when the network's row has gone. */
export async function removeParent(context: Context, { parent, made }: VlanSettings): Promise<void> {
  if (made && usersOf(context, parent).length === 0) await deleteLinks(context, [parent]);
}

export function aliasOf({ config }: Pick<Context, "config">): string {
  return kernelNames(config.tag).table;
}

/** A link that swallows what it is sent: dummy, or ifb where the kernel is built without. */
async function makeAlone(context: Context, parent: string): Promise<void> {
  try {
    await ipBatch(context, [`link add ${parent} type dummy`]);
  } catch (err) {
    if (!isUnknown(messageOf(err))) throw err;
    await ipBatch(context, [`link add ${parent} type ifb`]);
  }
}

async function makeVlan(context: Context, parent: string): Promise<void> {
  const { base, id } = vlanName(parent);
  try {
    await ipBatch(context, [`link add link ${base} name ${parent} type vlan id ${id}`]);
  } catch (err) {
    if (!isUnknown(messageOf(err))) throw err;
    throw new EngineError("not-implemented", `failed to create ${parent} vlan link: this kernel has no VLANs (8021q)`);
  }
}

/** In the words of ip(8) for kinds of links that the kernel does not have, before and since Linux 5.6. */
function isUnknown(words: string): boolean {
  return /Unknown device type|Operation not supported/.test(words);
}

function usersOf(context: Context, parent: string): VlanSettings[] {
  return context.db.read(networks).flatMap(({ vlan }) => (vlan?.parent === parent ? [vlan] : []));
}

/** One network to a parent for ipvlan, whose mode is the parent's, and for macvlan in mode passthru. */
function checkSharing(context: Context, parent: string, kind: VlanKind): void {
  const other = context.db.read(networks).find(({ vlan }) => vlan?.parent === parent);
  if (!other?.vlan || (shares(kind) && shares(other.vlan.kind))) return;
  throw new EngineError("forbidden", `network ${other.name} is already using parent interface ${parent}`);
}

function shares(kind: VlanKind): boolean {
  return kind.type === "macvlan" && kind.mode !== "passthru";
}

function vlanName(parent: string): { base: string; id: string } {
  const at = parent.lastIndexOf(".");
  return { base: parent.slice(0, Math.max(0, at)), id: parent.slice(at + 1) };
}

/** The name of a link that is not there says what it is to be: eth0.10 is VLAN 10 of eth0. */
function checkVlanName(context: Context, parent: string): void {
  const refuse = (words: string) => new EngineError("invalid", words);
  if (!parent.includes(".")) throw refuse(`invalid subinterface vlan name ${parent}, example formatting is eth0.10`);
  const { base, id } = vlanName(parent);
  if (!/^\d+$/.test(id)) throw refuse(`unable to parse a valid vlan id from: ${id} (ex. eth0.10 for vlan 10)`);
  if (Number(id) < 1 || Number(id) > 4094) throw refuse(`vlan id must be between 1-4094, received: ${Number(id)}`);
  if (context.host.net.linkKind(base) === undefined) {
    throw refuse(`-o parent interface was not found on the host: ${base}`);
  }
}

import { EngineError } from "../../errors/mod.ts";
import type { VlanKind } from "../../host/mod.ts";
import type { VlanSettings } from "../settings.ts";
import { commonOptions, mtuOption, type Options, prefixOption, refuseUnknown } from "./option.ts";

export type VlanDriver = "macvlan" | "ipvlan";

/** What a create request's options decide; without a parent the network has one of its own, and leads nowhere. */
export type VlanChoices = Pick<VlanSettings, "kind" | "mtu" | "prefix"> & { readonly parent?: string };

const macvlanModes = ["bridge", "private", "vepa", "passthru"] as const;
const ipvlanModes = ["l2", "l3", "l3s"] as const;
const ipvlanFlags = ["bridge", "private", "vepa"] as const;

/** Throws "invalid" in Docker's words, "not-implemented" for an option that is not there. */
export function vlanChoices(driver: VlanDriver, options: Options): VlanChoices {
  const own = driver === "macvlan" ? ["macvlan_mode"] : ["ipvlan_mode", "ipvlan_flag"];
  refuseUnknown(options, ["parent", ...own, ...Object.values(commonOptions)], driver);
  const [parent, mtu, prefix] = [parentOf(driver, options), mtuOption(options), prefixOption(options)];
  return {
    kind: kindOf(driver, options),
    ...(parent !== undefined && { parent }),
    ...(mtu !== undefined && { mtu }),
    ...(prefix !== undefined && { prefix }),
  };
}

function kindOf(type: VlanDriver, options: Options): VlanKind {
  if (type === "macvlan") return { type, mode: macvlanMode(options) };
  return { type, mode: ipvlanMode(options), flag: ipvlanFlag(options) };
}

function parentOf(driver: VlanDriver, { parent }: Options): string | undefined {
  if (parent === undefined || parent === "") return undefined;
  if (parent === "lo") throw new EngineError("invalid", `loopback interface is not a valid ${driver} parent link`);
  if (/^\w[\w.-]{0,14}$/.test(parent)) return parent;
  throw new EngineError("invalid", `-o parent ${JSON.stringify(parent)} is not the name of an interface`);
}

function macvlanMode({ macvlan_mode: asked }: Options) {
  const mode = macvlanModes.find((known) => known === (asked || "bridge"));
  if (mode) return mode;
  const words = `requested macvlan mode '${asked}' is not valid, 'bridge' mode is the macvlan driver default`;
  throw new EngineError("invalid", words);
}

function ipvlanMode({ ipvlan_mode: asked }: Options) {
  const mode = ipvlanModes.find((known) => known === (asked || "l2"));
  if (mode) return mode;
  const words = `requested ipvlan mode '${asked}' is not valid, 'l2' mode is the ipvlan driver default`;
  throw new EngineError("invalid", words);
}

function ipvlanFlag({ ipvlan_flag: asked }: Options) {
  const flag = ipvlanFlags.find((known) => known === (asked || "bridge"));
  if (flag) return flag;
  const words = `requested ipvlan flag '${asked}' is not valid, 'bridge' is the ipvlan driver default`;
  throw new EngineError("invalid", words);
}

import { formatSubnet } from "../address.ts";
import { formatSubnet6 } from "../address6.ts";
import { type FamilyName, familiesOf, type NftNetwork } from "./state.ts";

/** The sets that say what networks there are, in every table. */
export type NetworkSet = "bridges" | "internal" | "within" | "open" | "subnets" | "masqueraded";

/** What a network adds to each set, in nft's words. The rules that read the sets are in render.ts. */
export function networkElements(family: FamilyName, network: NftNetwork): readonly (readonly [NetworkSet, string])[] {
  const { bridge, internal, masquerade, open = [], trusted = [] } = network;
  const link = `"${bridge}"`;
  const net = subnetText(family, network);
  return [
    ["bridges", link],
    ["within", `${link} . ${link}`],
    ...(internal ? [] : trusted.map((neighbours) => ["within", `"${neighbours}" . ${link}`] as const)),
    ...(open.includes(family) && !internal ? [["open", link] as const] : []),
    ...(internal ? [["internal", link] as const] : [["subnets", `${net} . ${link}`] as const]),
    ...(masquerade && !internal ? [["masqueraded", net] as const] : []),
  ];
}

/** For `nft -f -`: the transaction that makes a network known, or unknown, whatever the number of others. */
export function networkScript(change: "add" | "delete", table: string, network: NftNetwork): string {
  const lines = familiesOf(network).flatMap((family) =>
    networkElements(family, network).map(
      ([set, element]) => `${change} element ${family} ${table} ${set} { ${element} }\n`,
    ),
  );
  return lines.join("");
}

function subnetText(family: FamilyName, { subnet, subnet6 }: NftNetwork): string {
  return family === "ip6" && subnet6 ? formatSubnet6(subnet6) : formatSubnet(subnet);
}

import { EngineError } from "../../errors/mod.ts";
import { errnoName } from "../errno.ts";
import { listing, netfilter, netfilterHeader, nftables } from "./netfilter.ts";
import { attributesOf, type Message, NetlinkError, NLM } from "./netlink.ts";

/** A chain that the kernel asks about packets. */
export interface HookedChain {
  readonly table: string;
  readonly name: string;
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
}

/** linux/netfilter/nf_tables.h: messages and attributes. */
const messageType = { getChain: (nftables << 8) | 4, getGeneration: (nftables << 8) | 16 } as const;
const chainAttribute = { table: 1, name: 3, hook: 4 } as const;
const [GEN_ID, HOOK_NUMBER] = [1, 1];
/** Families whose hooks have these numbers: inet, ip, ip6. */
const families: ReadonlySet<number> = new Set([1, 2, 10]);
const hooks = ["prerouting", "input", "forward", "output", "postrouting"] as const;
const headerLength = netfilterHeader().length;

/** Another number with every change of the host's nft rules, whoever makes it. */
export function rulesetGeneration(): number {
  const [answer] = told(() => netfilter().request([{ ...message(messageType.getGeneration), flags: NLM.ack }]));
  const id = answer && attributesOf(answer, headerLength).get(GEN_ID);
  if (!id) throw new EngineError("internal", "The kernel does not tell the generation of its nft rules");
  return id.readUInt32BE(0);
}

/** Those of all tables, in no order. */
export function hookedChains(): HookedChain[] {
  return told(() => listing(message(messageType.getChain))).flatMap((body) => {
    const attributes = attributesOf(body, headerLength);
    const hooked = attributes.get(chainAttribute.hook);
    const number = hooked && attributesOf(hooked).get(HOOK_NUMBER)?.readUInt32BE(0);
    const hook = number === undefined || !families.has(body[0] ?? 0) ? undefined : hooks[number];
    return hook
      ? [{ table: textOf(attributes, chainAttribute.table), name: textOf(attributes, chainAttribute.name), hook }]
      : [];
  });
}

function message(type: number): Message {
  return { type, flags: 0, body: netfilterHeader() };
}

function told<T>(ask: () => T): T {
  try {
    return ask();
  } catch (err) {
    if (!(err instanceof NetlinkError)) throw err;
    throw new EngineError("unavailable", `Ask the kernel for its nft rules: ${errnoName(err.code)}`, { cause: err });
  }
}

function textOf(attributes: ReadonlyMap<number, Buffer>, type: number): string {
  return (attributes.get(type)?.toString() ?? "").replace(/\0$/, "");
}

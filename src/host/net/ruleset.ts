import { EngineError } from "../../errors/mod.ts";
import { errnoName } from "../errno.ts";
import { type Message, Netlink, NetlinkError, NLM, protocols } from "./netlink.ts";

/** A chain that the kernel asks about packets. */
export interface HookedChain {
  readonly table: string;
  readonly name: string;
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
}

/** linux/netfilter/nf_tables.h: messages and attributes. */
const NFNL_SUBSYS_NFTABLES = 10;
const messageType = {
  getChain: (NFNL_SUBSYS_NFTABLES << 8) | 4,
  getGeneration: (NFNL_SUBSYS_NFTABLES << 8) | 16,
} as const;
const chainAttribute = { table: 1, name: 3, hook: 4 } as const;
const [GEN_ID, HOOK_NUMBER] = [1, 1];
/** Families whose hooks have these numbers: inet, ip, ip6. */
const families: ReadonlySet<number> = new Set([1, 2, 10]);
const hooks = ["prerouting", "input", "forward", "output", "postrouting"] as const;
const headerLength = 4;
const typeMask = 0x3fff;

/** Another number with every change of the host's nft rules, whoever makes it. */
export function rulesetGeneration(): number {
  const netlink = opened();
  const [answer] = told(() => netlink.request([{ ...message(messageType.getGeneration), flags: NLM.ack }]));
  const id = answer && attributesOf(answer.subarray(headerLength)).get(GEN_ID);
  if (!id) throw new EngineError("internal", "The kernel does not tell the generation of its nft rules");
  return id.readUInt32BE(0);
}

/** Those of all tables, in no order. A change meanwhile may be in there or not. */
export function hookedChains(): HookedChain[] {
  const netlink = opened();
  return told(() => netlink.dump(message(messageType.getChain))).flatMap((body) => {
    const attributes = attributesOf(body.subarray(headerLength));
    const hooked = attributes.get(chainAttribute.hook);
    const number = hooked && attributesOf(hooked).get(HOOK_NUMBER)?.readUInt32BE(0);
    const hook = number === undefined || !families.has(body[0] ?? 0) ? undefined : hooks[number];
    return hook
      ? [{ table: textOf(attributes, chainAttribute.table), name: textOf(attributes, chainAttribute.name), hook }]
      : [];
  });
}

/** Never closed, as the socket of elements.ts is not. */
let socket: Netlink | undefined;

function opened(): Netlink {
  socket ??= new Netlink(protocols.netfilter);
  return socket;
}

function message(type: number): Message {
  return { type, flags: 0, body: Buffer.alloc(headerLength) };
}

function told<T>(ask: () => T): T {
  try {
    return ask();
  } catch (err) {
    if (!(err instanceof NetlinkError)) throw err;
    throw new EngineError("unavailable", `Ask the kernel for its nft rules: ${errnoName(err.code)}`, { cause: err });
  }
}

function attributesOf(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + headerLength <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < headerLength || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + headerLength, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}

function textOf(attributes: ReadonlyMap<number, Buffer>, type: number): string {
  return (attributes.get(type)?.toString() ?? "").replace(/\0$/, "");
}

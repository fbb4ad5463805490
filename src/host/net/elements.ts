import { EngineError } from "../../errors/mod.ts";
import { netfilter, netfilterHeader, nftables } from "./netfilter.ts";
import { attribute, type Message, NetlinkError, NLM, nest } from "./netlink.ts";

/** One element of an nft map; key and value as the kernel has them: each part of a concatenation padded to four bytes, in network order. */
export interface ElementChange {
  readonly change: "add" | "delete";
  readonly set: string;
  readonly key: Uint8Array;
  /** Needed to add, ignored to delete. */
  readonly value?: Uint8Array;
}

/** linux/netfilter/nfnetlink.h and nf_tables.h. */
const messageType = {
  batchBegin: 0x10,
  batchEnd: 0x11,
  add: (nftables << 8) | 12,
  delete: (nftables << 8) | 14,
} as const;
/** An attribute's length has 16 bits; an element takes some 60 bytes. */
const perMessage = 512;

export interface NftTable {
  readonly family: "ip" | "ip6";
  readonly table: string;
}

export function changeElements(at: NftTable, changes: readonly ElementChange[]): void {
  const messages = groups(changes).map((group) => elementsMessage(at, group));
  if (messages.length === 0) return;
  try {
    netfilter().request([batch(messageType.batchBegin), ...messages, batch(messageType.batchEnd)]);
  } catch (err) {
    if (!(err instanceof NetlinkError)) throw err;
    const kind = err.errno === "ENOENT" ? "not-found" : err.errno === "EEXIST" ? "conflict" : "internal";
    throw new EngineError(kind, `Change nft table ${at.family} ${at.table}: ${err.errno}`, { cause: err });
  }
}

/** Runs of changes of one kind to one set. */
function groups(changes: readonly ElementChange[]): ElementChange[][] {
  const found: ElementChange[][] = [];
  for (const change of changes) {
    const last = found.at(-1);
    const fits = last && last.length < perMessage && last[0]?.set === change.set && last[0].change === change.change;
    if (fits) last.push(change);
    else found.push([change]);
  }
  return found;
}

function elementsMessage({ family, table }: NftTable, group: readonly ElementChange[]): Message {
  const [LIST_TABLE, LIST_SET, LIST_ELEMENTS] = [1, 2, 3];
  const [first] = group;
  const elements = nest(LIST_ELEMENTS, ...group.map(element));
  const attributes = [attribute(LIST_TABLE, table), attribute(LIST_SET, first?.set ?? ""), elements];
  const adding = first?.change === "add";
  return {
    type: adding ? messageType.add : messageType.delete,
    flags: NLM.ack | (adding ? NLM.create : 0),
    body: Buffer.concat([netfilterHeader(family), ...attributes]),
  };
}

function element(change: ElementChange): Buffer {
  const [LIST_ELEM, ELEM_KEY, ELEM_DATA, DATA_VALUE] = [1, 1, 2, 1];
  const parts = [nest(ELEM_KEY, attribute(DATA_VALUE, change.key))];
  if (change.change === "add" && change.value) parts.push(nest(ELEM_DATA, attribute(DATA_VALUE, change.value)));
  return nest(LIST_ELEM, ...parts);
}

/** The subsystem of a batch travels in the resource id. */
function batch(type: number): Message {
  return { type, flags: 0, body: netfilterHeader(undefined, nftables) };
}

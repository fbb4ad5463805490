import type { NftTable } from "./elements.ts";
import { listing, netfilter, netfilterHeader, nftables } from "./netfilter.ts";
import { attribute, attributesOf, type Message, NetlinkError, NLM } from "./netlink.ts";

/** A rule as far as it tells whether somebody has touched it: rules never change, they are replaced. */
export interface NftRule {
  /** Unique in its table. */
  readonly handle: bigint;
  readonly comment: string;
}

export interface NftRules {
  /** Of the table: no other one has ever had it, not even of the same name. */
  readonly handle: bigint;
  readonly rules: readonly NftRule[];
}

/** linux/netfilter/nf_tables.h: messages, and attributes of tables, chains and rules. */
const [GETTABLE, GETCHAIN, GETRULE] = [1, 4, 7];
const [TABLE_NAME, TABLE_HANDLE] = [1, 4];
const [CHAIN_TABLE, CHAIN_NAME] = [1, 3];
const [RULE_TABLE, RULE_CHAIN, RULE_HANDLE, RULE_USERDATA] = [1, 2, 3, 7];

/** The rules of a table, or of one of its chains; undefined when there is no such table or chain. */
export function nftRules(at: NftTable, chain?: string): NftRules | undefined {
  try {
    const handle = tableHandle(at);
    if (chain !== undefined) netfilter().request([chainQuery(at, chain)]);
    return { handle, rules: rulesOf(at, chain) };
  } catch (err) {
    if (err instanceof NetlinkError && err.errno === "ENOENT") return undefined;
    throw err;
  }
}

function tableHandle({ family, table }: NftTable): bigint {
  const [answer] = netfilter().request([query(GETTABLE, family, [attribute(TABLE_NAME, table)])]);
  return answer ? handleIn(answer, TABLE_HANDLE) : 0n;
}

function chainQuery({ family, table }: NftTable, chain: string): Message {
  return query(GETCHAIN, family, [attribute(CHAIN_TABLE, table), attribute(CHAIN_NAME, chain)]);
}

function rulesOf({ family, table }: NftTable, chain: string | undefined): NftRule[] {
  const inChain = chain === undefined ? [] : [attribute(RULE_CHAIN, chain)];
  return listing(query(GETRULE, family, [attribute(RULE_TABLE, table), ...inChain])).map((body) => ({
    handle: handleIn(body, RULE_HANDLE),
    comment: commentIn(attributesOf(body, headerLength).get(RULE_USERDATA)),
  }));
}

const headerLength = netfilterHeader().length;

function query(type: number, family: NftTable["family"], attributes: readonly Buffer[]): Message {
  return {
    type: (nftables << 8) | type,
    flags: NLM.ack,
    body: Buffer.concat([netfilterHeader(family), ...attributes]),
  };
}

/** Big-endian, unlike lengths and types. */
function handleIn(body: Buffer, type: number): bigint {
  return attributesOf(body, headerLength).get(type)?.readBigUInt64BE(0) ?? 0n;
}

/** libnftnl's user data: type, length, value; a comment has type 0 and a NUL at its end. */
function commentIn(data: Buffer | undefined): string {
  for (let at = 0; data && at + 2 <= data.length; at += 2 + (data[at + 1] ?? 0)) {
    if (data[at] === 0) return data.subarray(at + 2, at + 1 + (data[at + 1] ?? 0)).toString();
  }
  return "";
}

/** What of a host's nft ruleset says which packets come in and are passed on, as the kernel walks it. */
export interface Firewall {
  /** By {@link Chain.name}. */
  readonly chains: ReadonlyMap<string, Chain>;
}

export interface Chain {
  /** Family, table and chain, as nft(8) wants to have them named: "inet filter forward". */
  readonly name: string;
  /** Where the kernel asks it; undefined for one that others jump to. */
  readonly hook?: Hook;
  /** What becomes of a packet that no rule of a hooked chain decides about. */
  readonly policy: "accept" | "drop";
  readonly rules: readonly Rule[];
}

/** In the forms of libnftables-json(5), one after the other: what must match, and what is done then. */
export type Rule = readonly Statement[];
export type Statement = Readonly<Record<string, unknown>>;
export type Hook = "input" | "forward";

/** Tables that are asked about IPv4 and IPv6 packets on their way through the host. */
const families: ReadonlySet<unknown> = new Set(["ip", "ip6", "inet"]);
const hooks: ReadonlySet<unknown> = new Set(["input", "forward"] satisfies Hook[]);

export const emptyFirewall: Firewall = { chains: new Map() };

/**
 * From what `nft -j list ruleset` prints. What the rules of iptables-nft match by extensions of xtables is not in there:
 * `text` is what `nft -a list ruleset` prints, where it is. Tables whose names begin with `own` are passed over. Throws a
 * SyntaxError for what is no JSON; what it does not know in it is left alone.
 */
export function parseRuleset(json: string, { own, text = "" }: { own: string; text?: string }): Firewall {
  const chains = new Map<string, { -readonly [K in keyof Chain]: Chain[K] } & { rules: Rule[] }>();
  const texts = rulesByHandle(text);
  for (const object of objectsIn(JSON.parse(json))) {
    const { chain, rule } = object;
    if (isRecord(chain) && families.has(chain["family"]) && !String(chain["table"]).startsWith(own)) {
      const name = chainName(chain, chain["name"]);
      const hook = hooks.has(chain["hook"]) ? { hook: chain["hook"] as Hook } : {};
      chains.set(name, { name, ...hook, policy: chain["policy"] === "drop" ? "drop" : "accept", rules: [] });
    } else if (isRecord(rule) && Array.isArray(rule["expr"])) {
      const statements = rule["expr"].filter(isRecord);
      const line = texts.get(`${rule["family"]} ${rule["table"]} ${rule["handle"]}`) ?? "";
      const known = statements.flatMap((statement) => fromXtables(statement, line) ?? [statement]);
      chains.get(chainName(rule, rule["chain"]))?.rules.push(known);
    }
  }
  return { chains };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectsIn(document: unknown): Statement[] {
  const list = isRecord(document) ? document["nftables"] : undefined;
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

function chainName(of: Statement, name: unknown): string {
  return `${of["family"]} ${of["table"]} ${name}`;
}

/** Rules as text by their family, table and handle. */
function rulesByHandle(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let table = "";
  for (const line of text.split("\n")) {
    const [, opened] = /^table (\S+ \S+) \{/.exec(line) ?? [];
    if (opened !== undefined) table = opened;
    const [, rule = "", handle] = /^\s+(.*) # handle (\d+)$/.exec(line) ?? [];
    if (handle !== undefined && !rule.endsWith("{")) found.set(`${table} ${handle}`, rule);
  }
  return found;
}

/** What nft(8) prints in its own words for an extension; undefined where it has none, or this is no match of one. */
const translations: Readonly<Record<string, readonly RegExp[]>> = {
  conntrack: [/\bct (state|status) (!= )?([\w,]+)/g],
  state: [/\bct (state) (!= )?([\w,]+)/g],
  addrtype: [/\bfib daddr (type) (!= )?(\w+)/g],
  multiport: [/\b(?:tcp|udp|sctp) (dport) (!= )?(\{[^}]*\}|[\w-]+)/g],
};

function fromXtables({ xt }: Statement, line: string): Statement[] | undefined {
  if (!isRecord(xt) || xt["type"] !== "match") return undefined;
  const found = (translations[String(xt["name"])] ?? []).flatMap((pattern) => [...line.matchAll(pattern)]);
  if (found.length === 0) return undefined;
  return found.map(([, key = "", not, value = ""]) => ({
    match: { op: not ? "!=" : "in", left: leftOf(key), right: rightOf(value) },
  }));
}

function leftOf(key: string): Statement {
  if (key === "dport") return { payload: { protocol: "th", field: "dport" } };
  return key === "type" ? { fib: { result: "type", flags: ["daddr"] } } : { ct: { key } };
}

function rightOf(text: string): readonly unknown[] {
  return text
    .replace(/[{}]/g, "")
    .split(",")
    .map((word) => {
      const [first = "", last] = word.trim().split("-");
      if (last !== undefined) return { range: [Number(first), Number(last)] };
      return /^\d+$/.test(first) ? Number(first) : first;
    });
}

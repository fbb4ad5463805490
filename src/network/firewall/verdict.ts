import { isOneOf, matches, type Packet, type Truth } from "./packet.ts";
import { type Chain, type Firewall, type Hook, isRecord, type Rule, type Statement } from "./ruleset.ts";

/** What may become of a packet: both where it depends on what nobody knows here. */
export interface Fate {
  readonly accept: boolean;
  readonly drop: boolean;
  /** The chain that drops it, or may. */
  readonly by?: string;
}

/** What the host's firewall does to a packet at a hook: every chain there must let it through. */
export function fateOf(firewall: Firewall, hook: Hook, packet: Packet): Fate {
  const walk = new Walk(firewall, packet);
  let fate: Fate = { accept: true, drop: false };
  for (const chain of firewall.chains.values()) {
    if (chain.hook !== hook || !isOfFamily(chain, packet)) continue;
    const { accept, drop } = walk.base(chain);
    if (!accept) return { accept, drop, by: chain.name };
    if (drop && !fate.drop) fate = { accept, drop, by: chain.name };
  }
  return fate;
}

function isOfFamily({ name }: Chain, { family }: Packet): boolean {
  return name.startsWith(`${family} `) || name.startsWith("inet ");
}

/** `next`: the rule behind is asked; `leave`: whoever jumped into this chain goes on. */
type Outcome = "accept" | "drop" | "next" | "leave";
type Outcomes = ReadonlySet<Outcome>;

const outcomes = (...all: readonly Outcome[]): Outcomes => new Set(all);
const simple: Readonly<Record<string, Outcomes>> = {
  accept: outcomes("accept"),
  drop: outcomes("drop"),
  reject: outcomes("drop"),
  return: outcomes("leave"),
  continue: outcomes("next"),
  queue: outcomes("accept", "drop"), // some program decides
};
const unknown = outcomes("accept", "drop", "next");
/** Statements that count a packet or change it, and let it go on. */
const harmless: ReadonlySet<string> = new Set(["counter", "log", "mangle", "notrack", "flow", "quota", "set"]);
/** As deep as the kernel lets chains jump (NFT_JUMP_STACK_SIZE). */
const deepest = 16;

interface Place {
  readonly chain: Chain;
  readonly depth: number;
}

/** One packet's way; what a chain does to it is found once, however many rules jump there. */
class Walk {
  readonly #firewall: Firewall;
  readonly #packet: Packet;
  readonly #known = new Map<string, Outcomes>();

  constructor(firewall: Firewall, packet: Packet) {
    this.#firewall = firewall;
    this.#packet = packet;
  }

  base(chain: Chain): { accept: boolean; drop: boolean } {
    const found = this.#chain({ chain, depth: 0 });
    return {
      accept: found.has("accept") || (found.has("leave") && chain.policy === "accept"),
      drop: found.has("drop") || (found.has("leave") && chain.policy === "drop"),
    };
  }

  /** Never `next`: behind the last rule a packet leaves. */
  #chain(at: Place): Outcomes {
    const known = this.#known.get(at.chain.name) ?? this.#rules(at);
    this.#known.set(at.chain.name, known);
    return known;
  }

  #rules(at: Place): Outcomes {
    const found = new Set<Outcome>();
    for (const rule of at.chain.rules) {
      const here = this.#rule(rule, at);
      for (const outcome of here) if (outcome !== "next") found.add(outcome);
      if (!here.has("next")) return found;
    }
    return found.add("leave");
  }

  #rule(rule: Rule, at: Place): Outcomes {
    let certain = true;
    for (const statement of rule) {
      const here = this.#statement(statement, at);
      if (here === false) return outcomes("next");
      if (here === undefined) certain = false;
      else if (here !== true) return certain ? here : new Set([...here, "next"]);
    }
    return outcomes("next");
  }

  /** What is done to the packet, or whether the next statement of the rule is looked at. */
  #statement(statement: Statement, at: Place): Outcomes | Truth {
    const [kind = "", what] = Object.entries(statement)[0] ?? [];
    if (kind === "match") return matches(what, this.#packet);
    if (kind === "vmap") return this.#choice(what, at);
    if (kind === "xt") return xtables(what);
    return this.#verdict(kind, what, at) ?? (harmless.has(kind) || undefined);
  }

  #verdict(kind: string, what: unknown, at: Place): Outcomes | undefined {
    if (kind !== "jump" && kind !== "goto") return Object.hasOwn(simple, kind) ? simple[kind] : undefined;
    const [family, table] = at.chain.name.split(" ");
    const target = isRecord(what) ? this.#firewall.chains.get(`${family} ${table} ${what["target"]}`) : undefined;
    if (!target || at.depth >= deepest) return unknown;
    const there = this.#chain({ chain: target, depth: at.depth + 1 });
    if (kind === "goto" || !there.has("leave")) return there;
    return new Set([...there].map((outcome) => (outcome === "leave" ? "next" : outcome)));
  }

  /** A verdict map: the first key that the packet has decides, those before it that it may have might. */
  #choice(what: unknown, at: Place): Outcomes {
    const { key, data } = isRecord(what) ? what : {};
    if (!isRecord(data) || !Array.isArray(data["set"])) return unknown;
    const found = new Set<Outcome>();
    for (const [value, verdict] of data["set"].filter((one) => Array.isArray(one))) {
      const has = isOneOf(key, { values: value, packet: this.#packet });
      if (has === false) continue;
      const [kind = "", target] = isRecord(verdict) ? (Object.entries(verdict)[0] ?? []) : [];
      for (const outcome of this.#verdict(kind, target, at) ?? unknown) found.add(outcome);
      if (has) return found;
    }
    return found.add("next");
  }
}

/** Extensions of xtables; a match that nobody translated may be anything. */
function xtables(what: unknown): Outcomes | Truth {
  if (!isRecord(what) || what["type"] !== "target") return undefined;
  return what["name"] === "REJECT" ? outcomes("drop") : true;
}

import { type Answer, classIn, codes, type Question, reversed, types } from "./message.ts";

/** One leg of a container in a network whose names resolve. */
export interface Member {
  readonly endpointId: string;
  readonly holder: string;
  readonly networkId: string;
  readonly networkName: string;
  /** IPv4, and IPv6 where it has one. */
  readonly addresses: readonly string[];
  /** The container's name first, then its short id, host name and aliases. */
  readonly names: readonly string[];
  /** Names that only this container knows, and what each stands for in this network (`--link`). */
  readonly links: Readonly<Record<string, string>>;
  /** The host as this network's containers see it, IPv4 first; none where they do not. */
  readonly gateways: readonly string[];
  /** The network does not lead outside. */
  readonly internal: boolean;
  /** Resolvers that the container asks instead of the host's; empty for the host's. */
  readonly upstreams: readonly string[];
}

/** What is to be done about a question: say what is known here, or ask elsewhere (on behalf of this container). */
export type Decision =
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "forward"; readonly upstreams: readonly string[]; readonly holder: string };

/** Docker's own, in seconds (libnetwork `respTTL`). */
const ttl = 600;
/** Nobody gets a whole zone: names are told to those who know them (RFC 5936, 5). */
const transfers: ReadonlySet<number> = new Set([types.AXFR, types.IXFR]);
const hostNames = new Set(["host.docker.internal", "gateway.docker.internal"]);

/**
 * Which names mean what, for whom. A container sees the members of the networks that it is in itself, and no others: who
 * asks is told by the address that the question comes from, which the kernel has checked against its network's link.
 */
export class Zone {
  readonly #members = new Map<string, Member>();
  readonly #byAddress = new Map<string, Member>();
  readonly #byHolder = new Map<string, Set<Member>>();
  /** "NETWORK name": who has the name in that network. */
  readonly #byName = new Map<string, Set<Member>>();
  readonly #networks = new Map<string, string>();

  add(member: Member): void {
    this.remove(member.endpointId);
    this.#members.set(member.endpointId, member);
    this.#networks.set(member.networkName.toLowerCase(), member.networkId);
    for (const address of member.addresses) this.#byAddress.set(address, member);
    put(this.#byHolder, member.holder, member);
    for (const name of member.names) put(this.#byName, nameKey(member.networkId, name), member);
  }

  remove(endpointId: string): void {
    const member = this.#members.get(endpointId);
    if (!member) return;
    this.#members.delete(endpointId);
    for (const address of member.addresses)
      if (this.#byAddress.get(address) === member) this.#byAddress.delete(address);
    drop(this.#byHolder, member.holder, member);
    for (const name of member.names) drop(this.#byName, nameKey(member.networkId, name), member);
  }

  /** `from` is the address of the one who asks. */
  decide(question: Question, from: string): Decision {
    const asking = this.#byAddress.get(from);
    if (!asking || transfers.has(question.type)) return answer(codes.refused);
    const own = [...(this.#byHolder.get(asking.holder) ?? [])];
    const local = question.class === classIn ? this.#local(question, own) : undefined;
    if (local) return local;
    if (own.every((member) => member.internal)) return answer(codes.serverFailure);
    return { kind: "forward", upstreams: asking.upstreams, holder: asking.holder };
  }

  #local({ name, type }: Question, own: readonly Member[]): Decision | undefined {
    if (hostNames.has(name)) {
      const { gateways } = own.find((member) => member.gateways.length > 0) ?? {};
      return gateways && answer(codes.ok, ofType(type, gateways));
    }
    if (type === types.PTR) return this.#reverse(name, own);
    const found = this.#find(name, own);
    if (found.length === 0) return undefined;
    return answer(codes.ok, shuffled(found.flatMap((member) => ofType(type, member.addresses))));
  }

  /** In the first of the container's networks that knows the name, or in the one that `NAME.NETWORK` names. */
  #find(name: string, own: readonly Member[]): readonly Member[] {
    for (const { networkId, links } of own) {
      const found = this.#byName.get(nameKey(networkId, Object.hasOwn(links, name) ? (links[name] ?? name) : name));
      if (found) return [...found];
    }
    const dot = name.lastIndexOf(".");
    const networkId = this.#networks.get(name.slice(dot + 1));
    const mine = dot > 0 && networkId !== undefined && own.some((member) => member.networkId === networkId);
    return mine ? [...(this.#byName.get(nameKey(networkId, name.slice(0, dot))) ?? [])] : [];
  }

  #reverse(name: string, own: readonly Member[]): Decision | undefined {
    const member = this.#byAddress.get(reversed(name) ?? "");
    const [main] = member?.names ?? [];
    if (!member || main === undefined || !own.some(({ networkId }) => networkId === member.networkId)) return undefined;
    return answer(codes.ok, [`${main}.${member.networkName}`]);
  }
}

function answer(code: Answer["code"], records: readonly string[] = []): Decision {
  return { kind: "answer", answer: { code, records, ttl } };
}

/** A name that is known and has nothing of the type is a name with no records, not an unknown one (RFC 2308, 2.2). */
function ofType(type: number, addresses: readonly string[]): readonly string[] {
  if (type === types.ANY) return addresses;
  if (type === types.A) return addresses.filter((address) => !address.includes(":"));
  return type === types.AAAA ? addresses.filter((address) => address.includes(":")) : [];
}

/** So that the containers behind one alias get their turns (Fisher and Yates). */
function shuffled(records: readonly string[]): string[] {
  const mixed = [...records];
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [mixed[at], mixed[other]] = [mixed[other] ?? "", mixed[at] ?? ""];
  }
  return mixed;
}

function nameKey(networkId: string, name: string): string {
  return `${networkId} ${name.toLowerCase()}`;
}

function put(index: Map<string, Set<Member>>, key: string, member: Member): void {
  const found = index.get(key);
  if (found) found.add(member);
  else index.set(key, new Set([member]));
}

function drop(index: Map<string, Set<Member>>, key: string, member: Member): void {
  const found = index.get(key);
  found?.delete(member);
  if (found?.size === 0) index.delete(key);
}

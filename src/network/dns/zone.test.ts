import { describe, expect, test } from "bun:test";
import { type Question, types } from "./message.ts";
import { type Decision, type Member, Zone } from "./zone.ts";

const base = { links: {}, upstreams: [], internal: false };

function member(
  name: string,
  { network = "front", address = "10.0.0.1", ...more }: Partial<Member> & { network?: string; address?: string } = {},
): Member {
  return {
    ...base,
    endpointId: `${network}-${name}`,
    holder: name,
    networkId: `id-${network}`,
    networkName: network,
    addresses: [address],
    names: [name],
    gateways: ["10.0.0.254"],
    ...more,
  };
}

function question(name: string, type: number = types.A): Question {
  return { name, type, class: 1, bytes: new Uint8Array() };
}

function records(decision: Decision): readonly string[] | string {
  if (decision.kind === "forward") return "forward";
  return decision.answer.code === 0 ? decision.answer.records : `code ${decision.answer.code}`;
}

function zone(...members: readonly Member[]): Zone {
  const made = new Zone();
  for (const one of members) made.add(one);
  return made;
}

describe("a container's own networks", () => {
  const names = zone(
    member("web", { address: "10.0.0.1", names: ["web", "abc123", "App"] }),
    member("db", { address: "10.0.0.2", names: ["db", "app"] }),
    member("web2", { network: "back", address: "10.0.1.1", names: ["secret"] }),
  );
  const ask = (name: string, type?: number) => records(names.decide(question(name, type), "10.0.0.1"));

  test("names, short ids and aliases, whatever their case", () => {
    expect(ask("db")).toEqual(["10.0.0.2"]);
    expect(ask("abc123")).toEqual(["10.0.0.1"]);
    expect([...(ask("app") as string[])].sort()).toEqual(["10.0.0.1", "10.0.0.2"]);
  });

  test("with the network's name behind them", () => expect(ask("db.front")).toEqual(["10.0.0.2"]));

  test("no other network's names, not by its name either", () => {
    expect(ask("secret")).toBe("forward");
    expect(ask("secret.back")).toBe("forward");
  });

  test("a name that is known has no records of other types", () => {
    expect(ask("db", types.AAAA)).toEqual([]);
    expect(ask("db", 15)).toEqual([]);
  });

  test("addresses have names, those of other networks do not", () => {
    expect(ask("2.0.0.10.in-addr.arpa", types.PTR)).toEqual(["db.front"]);
    expect(ask("1.1.0.10.in-addr.arpa", types.PTR)).toBe("forward");
  });

  test("the host has a name", () => expect(ask("host.docker.internal")).toEqual(["10.0.0.254"]));

  test("the host's name is the gateway of a network that leads there, of both kinds", () => {
    const both = zone(
      member("web", { network: "inner", gateways: [], internal: true }),
      member("web", { network: "outer", address: "10.0.1.1", gateways: ["10.0.1.254", "fd00::1"] }),
    );
    expect(records(both.decide(question("host.docker.internal"), "10.0.0.1"))).toEqual(["10.0.1.254"]);
    expect(records(both.decide(question("host.docker.internal", types.AAAA), "10.0.0.1"))).toEqual(["fd00::1"]);
  });

  test("IPv6 addresses have names, and ANY has both kinds", () => {
    const dual = zone(member("web"), member("db", { address: "10.0.0.2", addresses: ["10.0.0.2", "fd00::2"] }));
    const name = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
    expect(records(dual.decide(question(name, types.PTR), "10.0.0.1"))).toEqual(["db.front"]);
    const all = records(dual.decide(question("db", types.ANY), "10.0.0.1")) as string[];
    expect(all.toSorted()).toEqual(["10.0.0.2", "fd00::2"]);
  });

  test("nobody gets a whole zone, of whatever name", () => {
    for (const type of [types.AXFR, types.IXFR]) {
      expect(ask("db", type)).toBe("code 5");
      expect(ask("example.org", type)).toBe("code 5");
    }
  });

  test("nobody else is answered", () => expect(records(names.decide(question("db"), "10.9.9.9"))).toBe("code 5"));
});

test("an alias shared by several takes turns", () => {
  const names = zone(...[1, 2, 3].map((n) => member(`w${n}`, { address: `10.0.0.${n}`, names: [`w${n}`, "w"] })));
  const firsts = new Set(
    Array.from({ length: 200 }, () => (records(names.decide(question("w"), "10.0.0.1")) as string[])[0]),
  );
  expect(firsts.size).toBe(3);
});

test("who leaves is not found any more, and may come back with another address", () => {
  const names = zone(member("web"), member("db", { address: "10.0.0.2" }));
  names.remove("front-db");
  expect(records(names.decide(question("db"), "10.0.0.1"))).toBe("forward");
  names.add(member("db", { address: "10.0.0.3" }));
  expect(records(names.decide(question("db"), "10.0.0.1"))).toEqual(["10.0.0.3"]);
  expect(records(names.decide(question("db"), "10.0.0.2"))).toBe("code 5");
});

test("a link is a name for one container only", () => {
  const names = zone(member("web", { links: { store: "db" } }), member("db", { address: "10.0.0.2" }));
  expect(records(names.decide(question("store"), "10.0.0.1"))).toEqual(["10.0.0.2"]);
  expect(records(names.decide(question("store"), "10.0.0.2"))).toBe("forward");
  expect(records(names.decide(question("constructor"), "10.0.0.1"))).toBe("forward");
});

test("internal networks ask nobody outside, and the container's own resolvers go before the host's", () => {
  const inside = zone(member("web", { internal: true }));
  expect(records(inside.decide(question("example.org"), "10.0.0.1"))).toBe("code 2");
  const own = zone(member("web", { upstreams: ["9.9.9.9"] }));
  expect(own.decide(question("example.org"), "10.0.0.1")).toEqual({
    ...{ kind: "forward", upstreams: ["9.9.9.9"], holder: "web" },
  });
});

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import type { Packet } from "./packet.ts";
import { emptyFirewall, type Firewall, type Hook, parseRuleset } from "./ruleset.ts";
import { fateOf } from "./verdict.ts";
import { effectsOn, type Published, warningsOf } from "./warnings.ts";

/** As nft 1.0.6 prints what ufw 0.36 and dockerd 20.10 load, what firewalld 1.3 does, and rulesets as people write them. */
function golden(name: string): Firewall {
  const path = `${import.meta.dir}/testdata/${name}`;
  const text = existsSync(`${path}.txt`) ? { text: readFileSync(`${path}.txt`, "utf8") } : {};
  return parseRuleset(readFileSync(`${path}.json`, "utf8"), { own: "berth_", ...text });
}

const passed = (port: number, more: Partial<Packet> = {}) =>
  ["forward", { family: "ip", protocol: "tcp", port, to: "berth0", from: "eth0", ...more }] as const;
const received = (port: number, more: Partial<Packet> = {}) =>
  ["input", { family: "ip", protocol: "tcp", port, from: "eth0", ...more }] as const;

const sent = ["forward", { family: "ip", protocol: "tcp", from: "berth0", to: "eth0", outward: true }] as const;

function fate(firewall: Firewall, [hook, packet]: readonly [Hook, Packet]): string {
  const { accept, drop, by = "" } = fateOf(firewall, hook, packet);
  return [accept ? "accept" : "", drop ? `drop: ${by}` : ""].filter(Boolean).join(" or ");
}

describe("what becomes of a packet", () => {
  const ufw = golden("ufw");
  const firewalld = golden("firewalld");
  const dockerd = golden("dockerd");
  const iptables = golden("iptables");
  const plain = golden("plain");

  test.each([
    ["ufw passes nothing on", ufw, passed(80), "drop: ip filter FORWARD"],
    ["ufw passes nothing on by IPv6", ufw, passed(80, { family: "ip6" }), "drop: ip6 filter FORWARD"],
    ["ufw keeps out what is not allowed", ufw, received(8080), "drop: ip filter INPUT"],
    ["ufw lets in what is", ufw, received(443), "accept"],
    ["firewalld passes on what is published", firewalld, passed(80), "accept"],
    ["firewalld keeps out the rest", firewalld, received(8080), "drop: inet firewalld filter_INPUT"],
    ["firewalld lets in the ports of its zone", firewalld, received(8443), "accept"],
    ["dockerd drops what is not its own", dockerd, passed(80), "drop: ip filter FORWARD"],
    ["dockerd does not know IPv6", dockerd, passed(80, { family: "ip6" }), "accept"],
    ["dockerd lets everything in", dockerd, received(8080), "accept"],
    ["a state that xtables matches", iptables, passed(80), "accept"],
    ["several ports that xtables matches", iptables, received(8005), "accept"],
    ["a return at the end of a dropping chain", iptables, received(9000), "drop: ip filter INPUT"],
    ["a port by its number", plain, passed(80), "accept"],
    ["another port", plain, passed(81), "drop: inet filter forward"],
    ["a rule about the link it comes from", plain, passed(5432), "drop: inet filter forward"],
    ["a rule about that link", plain, passed(5432, { from: "wg0" }), "accept"],
    [
      "a rule about some link",
      plain,
      ["forward", { family: "ip", protocol: "tcp", port: 5432, to: "b" }],
      "accept or drop: inet filter forward",
    ],
    [
      "a name that ends in a star",
      ruleset("drop", [[{ match: { op: "==", left: { meta: { key: "oifname" } }, right: "ber*" } }, { accept: null }]]),
      passed(80),
      "accept",
    ],
    ["another protocol", plain, passed(80, { protocol: "udp" }), "drop: inet filter forward"],
    ["a range", plain, received(8010), "accept"],
    ["a named set, whose members are not listed", plain, received(8080), "accept or drop: inet filter input"],
    [
      "a port that is not chosen yet",
      plain,
      ["input", { family: "ip", protocol: "tcp" }],
      "accept or drop: inet filter input",
    ],
    ["ufw lets nothing out of containers", ufw, sent, "drop: ip filter FORWARD"],
    ["firewalld lets nothing out of them but by a zone", firewalld, sent, "drop: inet firewalld filter_FORWARD"],
    ["rules that let in what is published let nothing out", plain, sent, "drop: inet filter forward"],
    ["no firewall", emptyFirewall, passed(80), "accept"],
  ] as const)("%s", (_, firewall, packet, expected) => {
    expect(fate(firewall, packet as ReturnType<typeof passed>)).toBe(expected);
  });

  test("without the text what xtables matches may be anything", () => {
    const bare = parseRuleset(readFileSync(`${import.meta.dir}/testdata/ufw.json`, "utf8"), { own: "berth_" });
    expect(fate(bare, passed(80))).toBe("accept or drop: ip filter FORWARD");
  });
});

/** A table of one chain, from rules in libnftables' form. */
function ruleset(
  policy: "accept" | "drop",
  rules: readonly (readonly object[])[],
  chains: Readonly<Record<string, readonly (readonly object[])[]>> = {},
): Firewall {
  const at = { family: "inet", table: "t" };
  const all = { base: rules, ...chains };
  const nftables = Object.entries(all).flatMap(([chain, own]) => [
    { chain: { ...at, name: chain, ...(chain === "base" && { hook: "forward", policy }) } },
    ...own.map((expr, handle) => ({ rule: { ...at, chain, handle, expr } })),
  ]);
  return parseRuleset(JSON.stringify({ nftables }), { own: "berth_" });
}

describe("the kernel's walk", () => {
  const maybe = { match: { op: "==", left: { meta: { key: "mark" } }, right: 1 } };
  const verdict = (kind: string, target?: string) => ({ [kind]: target === undefined ? null : { target } });
  const answers: readonly [string, Firewall, string][] = [
    [
      "return from a jump goes on behind it",
      ruleset("drop", [[verdict("jump", "a")], [verdict("accept")]], { a: [[verdict("return")], [verdict("drop")]] }),
      "accept",
    ],
    [
      "return from a goto ends the chain",
      ruleset("drop", [[verdict("goto", "a")], [verdict("accept")]], { a: [[verdict("return")]] }),
      "drop: inet t base",
    ],
    ["a rule that may match may decide", ruleset("accept", [[maybe, verdict("drop")]]), "accept or drop: inet t base"],
    [
      "a rule that may return",
      ruleset("drop", [[verdict("jump", "a")]], { a: [[maybe, verdict("return")], [verdict("accept")]] }),
      "accept or drop: inet t base",
    ],
    [
      "a chain that jumps to itself, which no kernel takes",
      ruleset("accept", [[verdict("jump", "base")]]),
      "accept or drop: inet t base",
    ],
    ["a jump to what is not there", ruleset("accept", [[verdict("jump", "x")]]), "accept or drop: inet t base"],
    ["what goes to a program", ruleset("accept", [[{ queue: { num: 1 } }]]), "accept or drop: inet t base"],
    [
      "a statement of the future",
      ruleset("accept", [[{ future: {} }, verdict("drop")]]),
      "accept or drop: inet t base",
    ],
    [
      "a map with a name",
      ruleset("accept", [[{ vmap: { key: { ct: { key: "state" } }, data: "@m" } }]]),
      "accept or drop: inet t base",
    ],
    [
      "a map with the packet's protocol",
      ruleset("accept", [
        [
          {
            vmap: {
              key: { meta: { key: "l4proto" } },
              data: {
                set: [
                  ["udp", verdict("accept")],
                  ["tcp", verdict("drop")],
                ],
              },
            },
          },
        ],
      ]),
      "drop: inet t base",
    ],
  ];
  test.each(answers)("%s", (_, firewall, expected) => expect(fate(firewall, passed(80))).toBe(expected));

  test("ten thousand rules and chains that jump to chains are walked once each", () => {
    const many = Array.from({ length: 200 }, () => [verdict("jump", "c1")]);
    const chains = Object.fromEntries(
      Array.from({ length: 15 }, (_, at) => [
        `c${at + 1}`,
        Array.from({ length: 50 }, () => [maybe, verdict("jump", `c${at + 2}`)]),
      ]),
    );
    const firewall = ruleset("drop", many, { ...chains, c16: [] });
    expect(fate(firewall, passed(80))).toBe("drop: inet t base");
  });

  test("our own tables, and other kinds of tables, are passed over", () => {
    const nftables = ["ip berth_a", "netdev x", "bridge y"].map((words) => {
      const [family, table] = words.split(" ");
      return { chain: { family, table, name: "c", hook: "forward", policy: "drop" } };
    });
    expect(parseRuleset(JSON.stringify({ nftables }), { own: "berth_" }).chains.size).toBe(0);
  });

  test.each(["{}", "[]", "null", '{"nftables":[null,{"chain":null},{"rule":{"expr":[1]}},{"rule":{"expr":{}}}]}'])(
    "%s is no firewall",
    (json) => expect(parseRuleset(json, { own: "" }).chains.size).toBe(0),
  );

  test("what is no JSON is refused", () => expect(() => parseRuleset("table", { own: "" })).toThrow(SyntaxError));
});

const path = { bridge: "berth0", link: "eth0" };

describe("what is said about published ports", () => {
  const port = (hostPort: number, more: Partial<Published> = {}): Published => ({
    ...{ protocol: "tcp", hostAddress: "", hostPort, containerPort: 80 },
    ...more,
  });

  test("ufw silences them, and says how to open one", () => {
    expect(warningsOf(golden("ufw"), path, [port(8080)])).toEqual([
      "The host's firewall (table ip filter, chain FORWARD) drops what is forwarded to containers: published port 8080/tcp will answer on this host only. To let it through: ufw route allow proto tcp to any port 80",
    ]);
  });

  test("firewalld lets them in, whatever its zones say, but for those that they open", () => {
    expect(warningsOf(golden("firewalld"), path, [port(8080), port(8443), port(22)])).toEqual([
      "Published port 8080/tcp can be reached from outside although the host's firewall (table inet firewalld, chain filter_INPUT) keeps others out: published ports are forwarded and do not pass the input chain. To keep one on this host publish it on 127.0.0.1",
    ]);
  });

  test("in the words of the one that drops them", () => {
    const remedies = (name: string) =>
      warningsOf(golden(name), path, [port(9000, { containerPort: 81 })]).map((line) => line.split("only. ")[1]);
    expect(remedies("dockerd")).toEqual([
      "To let it through: nft insert rule ip filter DOCKER-USER oifname berth0 accept",
    ]);
    expect(remedies("plain")).toEqual([
      "To let it through: nft insert rule inet filter forward oifname berth0 ct status dnat accept",
    ]);
  });

  test("nothing without a firewall, and nothing about what stays on the host", () => {
    expect(warningsOf(emptyFirewall, path, [port(80)])).toEqual([]);
    const local = [port(80, { hostAddress: "127.0.0.1" }), port(80, { hostAddress: "::1" })];
    expect(warningsOf(golden("ufw"), path, local)).toEqual([]);
  });

  test("nothing that is not certain", () => {
    expect(warningsOf(golden("plain"), { bridge: "berth0" }, [port(22, { containerPort: 5432 })])).toEqual([]);
  });

  test("many ports are counted, and a port that is yet to be chosen has the container's", () => {
    const many = Array.from({ length: 20 }, (_, at) => port(9000 + at));
    expect(warningsOf(golden("ufw"), path, many)[0]).toContain(
      "published ports 9000/tcp, 9001/tcp, 9002/tcp, 9003/tcp, 9004/tcp and 15 more will",
    );
    const { hostPort: _, ...unknown } = port(0);
    expect(warningsOf(golden("ufw"), path, [unknown])[0]).toContain("the published port of 80/tcp will");
  });

  test("of ten thousand ports the first are looked at", () => {
    const many = Array.from({ length: 10_000 }, (_, at) => port(10_000 + at, { containerPort: 10_000 + at }));
    expect(effectsOn(golden("ufw"), path, many).silenced).toHaveLength(64);
  });

  test("each family by its own rules", () => {
    const six = effectsOn(golden("dockerd"), path, [port(80, { hostAddress: "2001:db8::1" }), port(80)]);
    expect(six).toEqual({ silenced: [port(80)], open: [], silencer: "ip filter FORWARD" });
  });
});

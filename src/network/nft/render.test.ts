import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { createProcesses } from "../../host/mod.ts";
import { parseSubnet, type Subnet } from "../address.ts";
import { networkScript } from "./network-elements.ts";
import { portElement } from "./port-elements.ts";
import { renderNftTable } from "./render.ts";
import type { NftNetwork, NftPort } from "./state.ts";

const network = (bridge: string, subnet: string, more: Partial<NftNetwork> = {}): NftNetwork => ({
  bridge,
  subnet: parseSubnet(subnet) as Subnet,
  internal: false,
  masquerade: true,
  ...more,
});
const port = (hostPort: number, more: Partial<NftPort> = {}): NftPort => ({
  protocol: "tcp",
  hostAddress: "0.0.0.0",
  hostPort,
  containerPort: 80,
  address: "10.213.0.2",
  ...more,
});

const cases = {
  empty: { networks: [], ports: [] },
  default: {
    networks: [network("berth0", "10.213.0.0/24")],
    ports: [
      port(18080),
      port(18053, { protocol: "udp", containerPort: 53 }),
      port(18054, { protocol: "sctp", containerPort: 54 }),
      port(18081, { hostAddress: "127.0.0.1" }),
      port(18081, { hostAddress: "192.0.2.2", address: "10.213.0.3", containerPort: 8080 }),
    ],
  },
  many: {
    networks: [
      network("berth0", "10.213.0.0/24"),
      network("brx-1", "10.214.0.0/16", { internal: true }),
      network("brx-2", "10.215.0.0/16", { masquerade: false }),
    ],
    ports: [],
  },
  open: {
    networks: [
      network("brx-1", "10.214.0.0/16", {
        subnet6: { base: "fd00:1::", prefixLength: 64 },
        open: ["ip6"],
        trusted: ["eth0", "wg0"],
      }),
      network("brx-2", "10.215.0.0/16", { internal: true, open: ["ip"], trusted: ["eth0"] }),
    ],
    ports: [],
  },
  six: {
    networks: [
      network("berth0", "10.213.0.0/24"),
      network("brx-1", "10.214.0.0/16", { subnet6: { base: "fd00:1::", prefixLength: 64 } }),
      network("brx-2", "10.215.0.0/16", { subnet6: { base: "fd00:2::", prefixLength: 64 }, internal: true }),
    ],
    ports: [
      port(18080, { hostAddress: "::", address: "fd00:1::2" }),
      port(18080),
      port(18081, { hostAddress: "2001:db8::1", address: "fd00:1::2", protocol: "udp" }),
    ],
  },
} as const;

for (const [name, state] of Object.entries(cases)) {
  test(`the table "${name}" is as its golden file says, and nft takes it`, async () => {
    const text = renderNftTable({ table: "berth_golden", ...state });
    expectGolden(name, text);
    await expectTaken(text);
  });
}

function expectGolden(name: string, text: string): void {
  const golden = new URL(`testdata/${name}.nft`, import.meta.url);
  if (process.env["UPDATE_GOLDEN"]) writeFileSync(golden, text);
  expect(text).toBe(readFileSync(golden, "utf8"));
}

async function expectTaken(text: string): Promise<void> {
  const stdin = text.replaceAll("berth_golden", `berth_render_${process.pid}`);
  expect(await createProcesses().run(["nft", "-c", "-f", "-"], { stdin })).toMatchObject({ code: 0, stderr: "" });
}

const transactions = {
  plain: network("brx-1", "10.214.0.0/16"),
  internal: network("brx-1", "10.214.0.0/16", { internal: true }),
  routed: network("brx-1", "10.214.0.0/16", { masquerade: false }),
  open: network("brx-1", "10.214.0.0/16", { open: ["ip"], trusted: ["eth0"] }),
  dual: network("brx-1", "10.214.0.0/16", { subnet6: { base: "fd00:1::", prefixLength: 64 } }),
} as const;

for (const [name, entry] of Object.entries(transactions)) {
  test(`the network "${name}" comes and goes as its golden file says, and nft takes it`, async () => {
    const [add, remove] = (["add", "delete"] as const).map((change) => networkScript(change, "berth_golden", entry));
    expectGolden(`network-${name}`, `${add}\n${remove}`);
    const others = [
      network("berth0", "10.213.0.0/24", entry.subnet6 && { subnet6: { base: "fd00:2::", prefixLength: 64 } }),
    ];
    const stdin = `${renderNftTable({ table: "berth_golden", networks: others, ports: [] })}${add}${remove}`;
    await expectTaken(stdin);
  });
}

test("an element has each part in network order, padded to four bytes", () => {
  const any = portElement("add", port(0x1234));
  expect(any.set).toBe("any4");
  expect([...any.key]).toEqual([6, 0, 0, 0, 0x12, 0x34, 0, 0]);
  expect([...(any.value ?? [])]).toEqual([10, 213, 0, 2, 0, 80, 0, 0]);
  expect([...portElement("add", port(7, { protocol: "sctp" })).key]).toEqual([132, 0, 0, 0, 0, 7, 0, 0]);
  const one = portElement("delete", port(53, { protocol: "udp", hostAddress: "127.0.0.1" }));
  expect(one.set).toBe("addr4");
  expect([...one.key]).toEqual([127, 0, 0, 1, 17, 0, 0, 0, 0, 53, 0, 0]);
});

test("an element of IPv6 has sixteen bytes for an address", () => {
  const any = portElement("add", port(0x1234, { hostAddress: "::", address: "fd00::5" }));
  expect(any.set).toBe("any6");
  expect(Buffer.from(any.value ?? []).toString("hex")).toBe("fd000000000000000000000000000005" + "00500000");
  const one = portElement("add", port(0x1234, { hostAddress: "2001:db8::1", address: "fd00::5" }));
  expect(one.set).toBe("addr6");
  expect(Buffer.from(one.key).toString("hex")).toBe("20010db8000000000000000000000001" + "06000000" + "12340000");
});

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { NetworkCreateBody } from "../wire/mod.ts";
import { leftovers, type Machine, openMachine } from "./testing/fixture.ts";

let machine: Machine;
beforeEach(async () => {
  machine = await openMachine();
});
afterEach(async () => {
  await machine.end();
  expect(await leftovers(machine)).toEqual([]);
});

const rest = { Attachable: false, Ingress: false, ConfigOnly: false, Internal: false, Labels: {}, Options: {} };
const create = (Name: string, more: Partial<NetworkCreateBody>) =>
  machine.networks.create({ Name, Driver: "bridge", ...rest, ...more });
const config = {
  ConfigOnly: true,
  EnableIPv6: true,
  Labels: { a: "b" },
  Options: { "com.docker.network.driver.mtu": "1400" },
  IPAM: { Driver: "default", Config: [{ Subnet: "10.235.0.0/24", Gateway: "10.235.0.9" }] },
};

describe("a configuration network", () => {
  test("takes nothing itself, and is what others are made of", async () => {
    await create("config", config);
    const found = machine.networks.get("config");
    expect(found).toMatchObject({ ConfigOnly: true, Driver: "null", EnableIPv6: true, Labels: { a: "b" } });
    expect(found.IPAM.Config).toEqual(config.IPAM.Config);
    await create("made", { ConfigFrom: "config", Internal: true });
    const made = machine.networks.get("made");
    expect(made).toMatchObject({ Driver: "bridge", EnableIPv6: true, Internal: true, ConfigOnly: false });
    expect(made).toMatchObject({ ConfigFrom: { Network: "config" }, Labels: { a: "b" }, Options: config.Options });
    expect(made.IPAM.Config[0]).toEqual({ Subnet: "10.235.0.0/24", Gateway: "10.235.0.9" });
    await expect(create("second", { ConfigFrom: "config" })).rejects.toThrow("network made has 10.235.0.0/24");
    await expect(machine.networks.remove("config")).rejects.toMatchObject({
      kind: "forbidden",
      message: 'error while removing network: configuration network "config" is in use by made',
    });
    expect(await machine.networks.prune(new Map())).toEqual(["made"]);
    await machine.networks.remove("config");
    expect(machine.networks.list(new Map([["type", ["custom"]]]))).toEqual([]);
  });

  const fields = "configuration network can only contain network specific fields.";
  const depends = "not supported if the network depends on a configuration network";
  test.each<[Partial<NetworkCreateBody>, string, string]>([
    [{ ConfigOnly: true, Internal: true }, "forbidden", fields],
    [{ ConfigOnly: true, Scope: "local" }, "forbidden", fields],
    [{ ConfigOnly: true, ConfigFrom: "config" }, "forbidden", "cannot depend on another configuration network"],
    [{ ConfigOnly: true, IPAM: { Config: [{ Subnet: "x" }] } }, "invalid", "invalid subnet x"],
    [{ ConfigFrom: "absent" }, "not-found", 'configuration network "absent" does not exist'],
    [{ ConfigFrom: "bridge" }, "not-found", 'configuration network "bridge" does not exist'],
    [{ ConfigFrom: "config", EnableIPv6: true }, "forbidden", `user specified configurations are ${depends}`],
    [{ ConfigFrom: "config", Labels: { a: "" } }, "forbidden", `user specified configurations are ${depends}`],
    [{ ConfigFrom: "config", IPAM: { Config: [{ Subnet: "10.1.0.0/16" }] } }, "forbidden", depends],
    [{ ConfigFrom: "config", Options: { a: "b" } }, "forbidden", `network driver options are ${depends}`],
  ])("with %p is refused in docker's words", async (more, kind, words) => {
    await create("config", config);
    await expect(create("x", more)).rejects.toMatchObject({ kind, message: expect.stringContaining(words) });
    expect(() => machine.networks.get("x")).toThrow("not found");
  });
});

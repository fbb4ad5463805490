import { describe, expect, test } from "bun:test";
import { bridgeChoices } from "./bridge-options.ts";
import { vlanChoices } from "./vlan-options.ts";

const key = (name: string) => `com.docker.network.bridge.${name}`;
const plain = { masquerade: true, icc: true, hostAddress: "0.0.0.0" };

describe("options of a bridge", () => {
  test("have docker's defaults", () => {
    expect(bridgeChoices({}, false)).toEqual(plain);
  });

  test("are all read", () => {
    const options = {
      [key("name")]: "app0",
      [key("enable_ip_masquerade")]: "F",
      [key("enable_icc")]: "0",
      [key("host_binding_ipv4")]: "127.0.0.1",
      [key("inhibit_ipv4")]: "TRUE",
      [key("trusted_host_interfaces")]: "eth0:wg0",
      [key("gateway_mode_ipv4")]: "nat-unprotected",
      [key("gateway_mode_ipv6")]: "nat",
      "com.docker.network.driver.mtu": "1400",
      "com.docker.network.container_iface_prefix": "app",
      "com.docker.network.enable_ipv6": "true",
    };
    expect(bridgeChoices(options, false)).toEqual({
      masquerade: false,
      icc: false,
      hostAddress: "127.0.0.1",
      inhibit: true,
      trusted: ["eth0", "wg0"],
      mode4: "nat-unprotected",
      mode6: "nat",
      link: "app0",
      mtu: 1400,
      prefix: "app",
    });
    expect(bridgeChoices({ [key("gateway_mode_ipv4")]: "isolated" }, true)).toEqual({ ...plain, mode4: "isolated" });
  });

  test.each([
    [key("enable_icc"), "maybe", "enable_icc value: maybe (invalid syntax)"],
    [key("inhibit_ipv4"), "", "inhibit_ipv4 value:  (invalid syntax)"],
    [key("name"), "a b", 'invalid bridge name: "a b"'],
    [key("name"), "0123456789abcdef", "invalid bridge name"],
    [key("host_binding_ipv4"), "::1", "host_binding_ipv4 value: ::1 (nil ip)"],
    [key("trusted_host_interfaces"), 'eth0:a"b', "trusted_host_interfaces value"],
    [key("gateway_mode_ipv4"), "open", "gateway_mode_ipv4 value: open (unknown gateway mode open)"],
    [key("gateway_mode_ipv4"), "routed", 'gateway mode "routed"'],
    [key("gateway_mode_ipv6"), "isolated", "gateway mode 'isolated' can only be used for an internal network"],
    [key("default_bridge"), "true", "default_bridge of a bridge network is not implemented"],
    ["com.docker.network.driver.mtu", "x", "mtu value: x (invalid syntax)"],
    ["com.docker.network.driver.mtu", "-1", "invalid MTU number: -1"],
    ["com.docker.network.driver.mtu", "67", "invalid MTU number: 67"],
    ["com.docker.network.container_iface_prefix", "eth/", "container_iface_prefix value: eth/"],
    ["com.docker.network.container_iface_prefix", "abcdefghijkl", "container_iface_prefix value"],
    ["com.example", "x", "option com.example of a bridge network is not implemented"],
  ])("%s=%s is refused", (option, value, words) => {
    expect(() => bridgeChoices({ [option]: value }, false)).toThrow(words);
  });
});

describe("options of macvlan and ipvlan", () => {
  test("have docker's defaults, and all are read", () => {
    expect(vlanChoices("macvlan", {})).toEqual({ kind: { type: "macvlan", mode: "bridge" } });
    expect(vlanChoices("ipvlan", {})).toEqual({ kind: { type: "ipvlan", mode: "l2", flag: "bridge" } });
    const options = {
      parent: "eth0.10",
      ipvlan_mode: "l3s",
      ipvlan_flag: "vepa",
      "com.docker.network.driver.mtu": "1400",
    };
    expect(vlanChoices("ipvlan", options)).toEqual({
      kind: { type: "ipvlan", mode: "l3s", flag: "vepa" },
      parent: "eth0.10",
      mtu: 1400,
    });
    expect(vlanChoices("macvlan", { macvlan_mode: "passthru", parent: "" }).kind.mode).toBe("passthru");
  });

  test.each([
    [
      "macvlan",
      "macvlan_mode",
      "x",
      "requested macvlan mode 'x' is not valid, 'bridge' mode is the macvlan driver default",
    ],
    ["ipvlan", "ipvlan_mode", "x", "requested ipvlan mode 'x' is not valid, 'l2' mode is the ipvlan driver default"],
    ["ipvlan", "ipvlan_flag", "x", "requested ipvlan flag 'x' is not valid, 'bridge' is the ipvlan driver default"],
    ["macvlan", "parent", "lo", "loopback interface is not a valid macvlan parent link"],
    ["ipvlan", "parent", "lo", "loopback interface is not a valid ipvlan parent link"],
    ["ipvlan", "parent", "eth0\nlink del eth0", "is not the name of an interface"],
    ["macvlan", "ipvlan_mode", "l2", "option ipvlan_mode of a macvlan network is not implemented"],
  ] as const)("%s: %s=%s is refused", (driver, option, value, words) => {
    expect(() => vlanChoices(driver, { [option]: value })).toThrow(words);
  });
});

import { describe, expect, test } from "bun:test";
import { baseHostLines, extraHostLines, hostsFile, requireExtraHosts, resolvConfFile, updatedHosts } from "./mod.ts";

const hostGateway = () => "10.0.0.1";
const never = () => {
  throw new Error("not asked for");
};

describe("/etc/hosts", () => {
  test("names loopback, extra hosts and the container itself", () => {
    const text = hostsFile({
      ...{ hostname: "h", domainname: "d", addresses: ["10.0.0.2", "fd00::2"], hostGateway },
      extraHosts: ["up:host-gateway", "v6:::1", "eq=1.2.3.4", "b:[fe80::1]"],
    });
    const lines = ["127.0.0.1\tlocalhost", "10.0.0.1\tup", "::1\tv6", "1.2.3.4\teq", "fe80::1\tb"];
    for (const line of [...lines, "10.0.0.2\th.d h", "fd00::2\th.d h"]) expect(text.split("\n")).toContain(line);
    expect(hostsFile({ hostname: "h", domainname: "", addresses: ["1.1.1.1"], extraHosts: [], hostGateway })).toEndWith(
      "\n1.1.1.1\th\n",
    );
    const dotted = { hostname: "h.d.e", domainname: "", addresses: ["1.1.1.1"], extraHosts: [], hostGateway };
    expect(hostsFile(dotted)).toEndWith("\n1.1.1.1\th.d.e h\n");
  });

  test("an update replaces the engine's lines and leaves what somebody else wrote", () => {
    const base = baseHostLines({ extraHosts: ["db:9.9.9.9"], hostGateway });
    const lines = [
      { address: "10.0.0.3", names: ["db", "x"] },
      { address: "10.0.0.2", names: ["h"] },
    ];
    const names = new Set(["db", "gone", "h"]);
    const before = [...base, "10.0.0.9\tdb old", "10.0.0.8\tgone", "1.2.3.4 mine", "# db", "10.0.0.2\th", ""].join(
      "\n",
    );
    const after = [...base, "1.2.3.4 mine", "# db", "10.0.0.3\tdb x", "10.0.0.2\th", ""].join("\n");
    expect(updatedHosts(before, { base, lines, names })).toBe(after);
    expect(updatedHosts(after, { base, lines, names })).toBe(after);
    expect(updatedHosts("", { base, lines: [], names })).toBe(`${base.join("\n")}\n`);
  });

  test("the gateway is asked for only when it is used; without one its entries are left out", () => {
    expect(extraHostLines({ extraHosts: ["a:1.2.3.4"], hostGateway: never })).toEqual(["1.2.3.4\ta"]);
    expect(extraHostLines({ extraHosts: ["up:host-gateway"], hostGateway: () => undefined })).toEqual([]);
  });

  test("entries that are none are refused", () => {
    requireExtraHosts(["a:1.2.3.4", "b=::1", "c:[::1]", "d:host-gateway"]);
    for (const bad of ["nothing", "a:", ":1.2.3.4", "a b:1.2.3.4", "a\n0.0.0.0:1.2.3.4"])
      expect(() => requireExtraHosts([bad])).toThrow(`bad format for add-host: "${bad}"`);
    for (const bad of ["x", "1.2.3", "1.2.3.4\n"])
      expect(() => requireExtraHosts([`a:${bad}`])).toThrow(/invalid IP address in add-host|bad format/);
  });
});

describe("/etc/resolv.conf", () => {
  const resolver = (host: string, over = {}) => resolvConfFile({ host, dns: [], hostNetwork: false, ...over });

  test("has no server on loopback, which is out of reach, but for the fallback's", () => {
    expect(resolver("# c\nnameserver 127.0.0.53\nnameserver ::1\nsearch a b\noptions edns0\n")).toBe(
      "nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch a b\noptions edns0\n",
    );
    expect(resolver("nameserver 127.0.0.53\nnameserver 10.1.1.1\nnameserver x\n")).toBe("nameserver 10.1.1.1\n");
    expect(resolver("domain a\nnameserver fe80::1%eth0\n")).toBe("nameserver fe80::1%eth0\nsearch a\n");
    expect(resolver("")).toBe("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  });

  test("has whom systemd-resolved asks, where that is the host's only resolver", () => {
    const behind = "nameserver 10.1.1.1\nsearch corp.test\n";
    const asked = "nameserver 10.1.1.1\nsearch corp.test\n";
    expect(resolver("nameserver 127.0.0.53\noptions edns0 trust-ad\n", { behind })).toBe(asked);
    expect(resolver("nameserver 127.0.0.53\nnameserver 10.2.2.2\n", { behind })).toBe("nameserver 10.2.2.2\n");
    expect(resolver("nameserver 127.0.0.53\n", { behind, hostNetwork: true })).toBe("nameserver 127.0.0.53\n");
    expect(resolver("nameserver 127.0.0.53\n", { behind, resolver: "127.0.0.11" })).toBe(
      "nameserver 127.0.0.11\nsearch corp.test\noptions ndots:0\n",
    );
  });

  test("has the options of all lines, and the last search domains", () => {
    const lines = "nameserver 10.1.1.1\nsearch a\nsearch b\noptions timeout:1\noptions attempts:2\n";
    expect(resolver(lines)).toBe("nameserver 10.1.1.1\nsearch b\noptions timeout:1 attempts:2\n");
  });

  test("on the host's network it is the host's, but for what was asked for", () => {
    const host = "# c\nnameserver 127.0.0.53\nsearch a\n";
    expect(resolver(host, { hostNetwork: true })).toBe(host);
    expect(resolver(host, { hostNetwork: true, options: ["x"] })).toBe("nameserver 127.0.0.53\nsearch a\noptions x\n");
  });

  test("what was asked for wins", () => {
    const asked = { dns: ["9.9.9.9"], search: ["s"], options: ["ndots:2"] };
    expect(resolver("nameserver 10.1.1.1\nsearch a\noptions b\n", asked)).toBe(
      "nameserver 9.9.9.9\nsearch s\noptions ndots:2\n",
    );
    expect(resolver("search a\n", { dns: ["9.9.9.9"], search: ["."] })).toBe("nameserver 9.9.9.9\n");
  });
});

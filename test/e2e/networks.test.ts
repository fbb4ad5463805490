import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { cli, type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine(["--default-address-pool", "base=10.238.0.0/16,size=26"]);
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const bridge = (option: string) => `com.docker.network.bridge.${option}`;
const links = async () => (await Bun.$`ip -br link`.text()).split("\n").map((line) => line.split(/[@ ]/)[0] ?? "");

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const run = (...argv: string[]) => cli(which, engine.host, argv);
  const ok = async (...argv: string[]) => {
    const { code, stdout, stderr } = await run(...argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  const refused = async (words: string, ...argv: string[]) => {
    const { code, stderr } = await run("network", ...argv);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(words) });
  };
  const name = (what: string) => `${what}-${which}`;
  const busybox = (network: string, ...argv: string[]) => ok("run", "--rm", "--network", network, "busybox", ...argv);

  test("a bridge with all its options, two kinds of addresses, a range and a router's address", async () => {
    const net = name("full");
    const create = ["network", "create", "--ipv6", "--subnet", "10.197.0.0/24", "--subnet", "fd00:197::/64"];
    const addresses = [
      "--ip-range",
      "10.197.0.64/27",
      "--gateway",
      "10.197.0.1",
      "--aux-address",
      "router=10.197.0.64",
    ];
    const options = [`${bridge("name")}=full${which}`, `${bridge("enable_icc")}=false`].flatMap((one) => ["-o", one]);
    const more = ["-o", "com.docker.network.driver.mtu=1400", "-o", "com.docker.network.container_iface_prefix=lan"];
    await ok(...create, ...addresses, ...options, ...more, "--attachable", "--label", "a=b", net);
    expect(await links()).toContain(`full${which}`);
    const [shown] = JSON.parse(await ok("network", "inspect", net));
    expect(shown).toMatchObject({ Attachable: true, EnableIPv6: true, Labels: { a: "b" }, ConfigOnly: false });
    expect(shown.IPAM.Config).toEqual([
      {
        Subnet: "10.197.0.0/24",
        IPRange: "10.197.0.64/27",
        Gateway: "10.197.0.1",
        AuxiliaryAddresses: { router: "10.197.0.64" },
      },
      { Subnet: "fd00:197::/64", Gateway: "fd00:197::1" },
    ]);
    const inside = await busybox(net, "ip", "addr", "show", "lan0");
    for (const text of ["mtu 1400", "10.197.0.65/24", "fd00:197::"]) expect(inside).toContain(text);
    await refused(
      "Pool overlaps with other one on this address space",
      "create",
      "--subnet",
      "10.197.0.0/25",
      name("x"),
    );
    await ok("network", "rm", net);
    expect(await links()).not.toContain(`full${which}`);
  });

  test.skipIf(isOld(which))("an endpoint has a name, sysctls, link-local addresses and a priority", async () => {
    const [low, high] = [name("low"), name("high")];
    for (const net of [low, high]) await ok("network", "create", net);
    const sysctls = "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1";
    const first = `name=${low},driver-opt=com.docker.network.endpoint.ifname=up0,driver-opt=${sysctls}`;
    await ok("run", "-d", "--name", name("c"), "--network", first, "busybox", "sleep", "1000");
    expect(await ok("exec", name("c"), "cat", "/proc/sys/net/ipv4/conf/up0/log_martians")).toBe("1");
    const join = ["network", "connect", "--gw-priority", "7", "--link-local-ip", "169.254.8.8", high, name("c")];
    await ok(...join);
    expect(await ok("exec", name("c"), "ip", "addr", "show", "eth0")).toContain("169.254.8.8/16");
    expect(await ok("exec", name("c"), "ip", "route")).toMatch(/^default .* dev eth0/);
    const settings = JSON.parse(await ok("inspect", "-f", "{{json .NetworkSettings.Networks}}", name("c")));
    expect(settings[high]).toMatchObject({ GwPriority: 7, IPAMConfig: { LinkLocalIPs: ["169.254.8.8"] } });
    await refused(`endpoint with name ${name("c")} already exists in network ${high}`, "connect", high, name("c"));
    await ok("network", "disconnect", high, name("c"));
    expect(await ok("exec", name("c"), "ip", "route")).toMatch(/^default .* dev up0/);
    await refused("has active endpoints (name:", "rm", low);
    await ok("rm", "-f", name("c"));
    await ok("network", "rm", low, high);
  });

  test("a container that does not run is connected and disconnected, and what cannot be is refused at once", async () => {
    const net = name("later");
    await ok("network", "create", "--subnet", "10.197.1.0/24", net);
    await ok("create", "--name", name("s"), "busybox", "cat", "/proc/net/route");
    await refused(`no configured subnet contains IP address 10.1.1.1`, "connect", "--ip", "10.1.1.1", net, name("s"));
    await ok("network", "connect", "--ip", "10.197.1.9", net, name("s"));
    await refused(`already exists in network ${net}`, "connect", net, name("s"));
    const format = `{{(index .NetworkSettings.Networks "${net}").IPAMConfig.IPv4Address}}`;
    expect(await ok("inspect", "-f", format, name("s"))).toBe("10.197.1.9");
    await ok("network", "disconnect", "-f", net, name("s"));
    await refused("is not connected to network", "disconnect", net, name("s"));
    await refused("container cannot be disconnected from host network", "connect", "host", name("s"));
    await ok("rm", name("s"));
    await ok("network", "rm", net);
  });

  test("a configuration network is what others are made of", async () => {
    const [config, net] = [name("config"), name("made")];
    await ok("network", "create", "--config-only", "--subnet", "10.197.2.0/24", "--label", "a=b", config);
    await ok("network", "create", "--config-from", config, net);
    const format = "{{.ConfigFrom.Network}} {{.ConfigOnly}} {{(index .IPAM.Config 0).Subnet}} {{.Labels.a}}";
    expect(await ok("network", "inspect", "-f", format, net)).toBe(`${config} false 10.197.2.0/24 b`);
    await refused(`configuration network "${config}" is in use`, "rm", config);
    await refused("not supported if the network depends on", "create", "--config-from", config, "--label", "x=y", "n");
    await ok("network", "rm", net);
    expect(await ok("network", "inspect", "-f", "{{.ConfigOnly}} {{.Driver}}", config)).toBe("true null");
    await ok("network", "rm", config);
  });

  test("macvlan and ipvlan connect their members, by links that go with the network", async () => {
    const before = await links();
    for (const [driver, option] of vlans.filter(([driver]) => kernelHas(driver))) {
      const net = name(driver);
      await ok("network", "create", "-d", driver, "-o", option, "--subnet", "10.197.3.0/24", net);
      await ok("run", "-d", "--name", name("v"), "--network", net, "--ip", "10.197.3.9", "busybox", "sleep", "1000");
      await busybox(net, "ping", "-c", "1", "-W", "5", "10.197.3.9");
      const refusal = await run("run", "--rm", "--network", net, "-p", "80", "busybox", "true");
      expect(refusal.stderr).toContain(`ports cannot be published on ${driver} network ${net}`);
      await ok("rm", "-f", name("v"));
      await ok("network", "rm", net);
    }
    expect((await links()).filter((link) => link.startsWith("dm") && !before.includes(link))).toEqual([]);
    await refused("requested macvlan mode 'x' is not valid", "create", "-d", "macvlan", "-o", "macvlan_mode=x", "n");
    await refused("invalid subinterface vlan name absent0", "create", "-d", "macvlan", "-o", "parent=absent0", "n");
  });

  test("subnets that nobody names come from the daemon's pools, however many networks there are", async () => {
    const names = Array.from({ length: 8 }, (_, number) => name(`pool${number}`));
    await Promise.all(names.map((net) => ok("network", "create", net)));
    const subnets = await ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", ...names);
    expect(new Set(subnets.split("\n")).size).toBe(8);
    expect(subnets.split("\n").every((subnet) => /^10\.238\.\d+\.\d+\/26$/.test(subnet))).toBe(true);
    expect((await ok("network", "rm", ...names)).split("\n")).toHaveLength(8);
  });

  test("ls shows what filters say, in the form that is asked for", async () => {
    const id = await ok("network", "create", "--label", `of=${which}`, "--internal", name("seen"));
    const ls = (...argv: string[]) => ok("network", "ls", ...argv);
    expect(await ls("-q", "--no-trunc", "--filter", `label=of=${which}`)).toBe(id);
    expect(await ls("-q", "--filter", `id=${id.slice(20, 60)}`)).toBe(id.slice(0, 12));
    expect(await ls("--filter", "type=builtin", "--format", "{{.Name}}")).toBe("bridge\nhost\nnone");
    expect(await ls("--filter", "driver=null", "--filter", "driver=host", "--format", "{{.Name}}")).toBe("host\nnone");
    const wanted = ["--filter", `name=${name("seen")}`, "--filter", "scope=local", "--filter", "dangling=true"];
    expect(await ls(...wanted, "--format", "{{.Name}} {{.Internal}} {{.IPv6}}")).toBe(`${name("seen")} true false`);
    expect(await ls("--filter", `name=${name("seen")}`, "--filter", "dangling=false", "-q")).toBe("");
    await refused("invalid filter", "ls", "--filter", "type=nonsense");
    expect(await ok("network", "prune", "-f", "--filter", `label=of=${which}`)).toBe(
      `Deleted Networks:\n${name("seen")}`,
    );
  });

  test.skipIf(isOld(which))("what is not there is refused by its name, and what there is one of stays so", async () => {
    await refused('network driver "overlay" is not implemented', "create", "-d", "overlay", "n");
    await refused('plugin "nonsense" not found', "create", "-d", "nonsense", "n");
    await refused('only one instance of "host" network is allowed', "create", "-d", "host", "n");
    await refused('only one instance of "null" network is allowed', "create", "-d", "null", "n");
    await refused("an ingress network is not implemented", "create", "--ingress", "n");
    await refused('scope "swarm" is not implemented', "create", "--scope", "swarm", "n");
    await refused("a network without IPv4 is not implemented", "create", "--ipv4=false", "--ipv6", "n");
    await refused("option com.example of a bridge network is not implemented", "create", "-o", "com.example=1", "n");
    await refused("invalid network config", "create", "--subnet", "10.197.4.1/24", "n");
    await refused("bridge driver doesn't support multiple subnets", "create", ...two, "n");
    await refused("operation is not permitted on predefined host network", "create", "host");
    await refused("network absent not found", "inspect", "absent");
  });
});

const vlans = [
  ["macvlan", "macvlan_mode=bridge"],
  ["ipvlan", "ipvlan_mode=l2"],
] as const;

function kernelHas(type: string): boolean {
  const { stderr } = Bun.spawnSync(["ip", "link", "add", "name", "berth-probe", "type", type]);
  return !/Unknown device type|not supported/.test(stderr.toString());
}

const two = ["--subnet", "10.197.5.0/24", "--subnet", "10.197.6.0/24"];

test("a list does not say who is in a network, but to clients of old; a scope that is not the network's finds nothing", async () => {
  await engine.ok("run", "-d", "--name", "member", "busybox", "sleep", "1000");
  const members = async (path: string) => {
    const found: { Name: string; Containers: object }[] = (await call(engine, `GET ${path}`)).json;
    return Object.keys(found.find(({ Name }) => Name === "bridge")?.Containers ?? {}).length;
  };
  expect([await members("/v1.51/networks"), await members("/v1.27/networks")]).toEqual([0, 1]);
  expect((await call(engine, "GET /v1.51/networks/bridge?scope=swarm")).status).toBe(404);
  expect((await call(engine, "GET /v1.51/networks/bridge?scope=local&verbose=1")).status).toBe(200);
  await engine.ok("rm", "-f", "member");
});

test("macvlan networks and their members outlive the daemon's kill, and their links go with them", async () => {
  await engine.ok("network", "create", "-d", "macvlan", "--subnet", "10.197.8.0/24", "kept");
  const member = (name: string) => ["run", "-d", "--name", name, "--network", "kept", "busybox", "sleep", "1000"];
  await engine.ok(...member("m1"));
  await engine.stop("SIGKILL");
  await engine.start();
  await engine.ok(...member("m2"));
  const address = await engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.kept.IPAddress}}", "m1");
  await engine.ok("exec", "m2", "ping", "-c", "1", "-W", "5", address);
  await engine.ok("rm", "-f", "m1", "m2");
  await engine.ok("network", "rm", "kept");
  const tag = await engine.tag();
  expect((await links()).filter((link) => link.startsWith(`dm${tag}`))).toEqual([]);
});

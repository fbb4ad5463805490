import { expect, test } from "bun:test";
import { cli, refusing } from "../testing/fake.ts";

const row = (Name: string, Labels = {}) => ({
  Name,
  Id: "abcdef".repeat(10),
  Driver: "bridge",
  Scope: "local",
  EnableIPv4: true,
  EnableIPv6: false,
  Internal: false,
  Labels,
  Created: "then",
});
const volume = (Name: string, Labels: object | null = null) => ({
  Name,
  Driver: "local",
  Mountpoint: `/v/${Name}`,
  Scope: "local",
  Labels,
});

test("network ls and volume ls, sorted by name", async () => {
  const answers = {
    "GET /networks": [row("host"), row("bridge", { a: "1" })],
    "GET /volumes": { Volumes: [volume("w"), volume("v", { a: "1" })] },
  };
  expect((await cli(["network", "ls"], { answers })).out).toBe(
    "NETWORK ID     NAME      DRIVER    SCOPE\nabcdefabcdef   bridge    bridge    local\nabcdefabcdef   host      bridge    local\n",
  );
  expect((await cli(["network", "ls", "-q"], { answers })).out).toBe("abcdefabcdef\nabcdefabcdef\n");
  expect(
    await cli(["network", "list", "--format", '{{.Name}} {{.IPv6}} {{.Label "a"}}', "-f", "driver=bridge"], {
      answers,
    }),
  ).toMatchObject({ out: "bridge false 1\nhost false \n", asked: ['GET /networks?filters={"driver":["bridge"]}'] });
  expect((await cli(["volume", "ls"], { answers })).out).toBe("DRIVER    VOLUME NAME\nlocal     v\nlocal     w\n");
  expect((await cli(["volume", "ls", "-q"], { answers })).out).toBe("v\nw\n");
  expect((await cli(["volume", "ls", "--format", '{{.Mountpoint}}{{.Label "a"}}{{.Size}}'], { answers })).out).toBe(
    "/v/v1N/A\n/v/wN/A\n",
  );
  expect((await cli(["volume", "ls"], { answers: { "GET /volumes": { Volumes: null } } })).out).toBe(
    "DRIVER    VOLUME NAME\n",
  );
});

test("network create puts gateways, ranges and addresses into the subnets that hold them", async () => {
  const argv = [
    "network",
    "create",
    "--subnet",
    "10.1.0.0/16,fd00::/64",
    "--subnet",
    "10.2.0.0/16",
    "--gateway",
    "10.2.0.1",
    "--gateway",
    "fd00::1",
    "--ip-range",
    "10.1.5.0/24",
    "--aux-address",
    "a=10.1.0.9",
    "--ipv6",
    "--internal",
    "--attachable",
    "-o",
    "k=v",
    "--label",
    "l",
    "net",
  ];
  const ran = await cli(argv, { answers: { "POST /networks/create": { Id: "n1", Warning: "mind" } } });
  expect(ran).toMatchObject({ status: 0, out: "n1\n", err: "WARNING: mind\n" });
  expect(ran.bodies).toMatchObject([
    {
      Name: "net",
      Driver: "bridge",
      Internal: true,
      Attachable: true,
      EnableIPv6: true,
      Options: { k: "v" },
      Labels: { l: "" },
      IPAM: {
        Driver: "default",
        Config: [
          { Subnet: "10.1.0.0/16", IPRange: "10.1.5.0/24", AuxiliaryAddresses: { a: "10.1.0.9" } },
          { Subnet: "fd00::/64", Gateway: "fd00::1" },
          { Subnet: "10.2.0.0/16", Gateway: "10.2.0.1" },
        ],
      },
    },
  ]);
});

test("network create refuses what fits no subnet, and tells the engine's refusals", async () => {
  expect(await cli(["network", "create", "--gateway", "10.0.0.1", "x"])).toMatchObject({
    status: 1,
    err: "no matching subnet for gateway 10.0.0.1\n",
    asked: [],
  });
  expect(await cli(["network", "create", "--subnet", "10.0.0.0/24", "--ip-range", "10.1.0.0/28", "x"])).toMatchObject({
    status: 1,
    err: "no matching subnet for range 10.1.0.0\n",
  });
  expect(await cli(["network", "create", "--subnet", "nonsense", "--gateway", "::1", "x"])).toMatchObject({
    status: 1,
  });
  const taken = { "POST /networks/create": refusing("conflict", "network with name x already exists") };
  expect(await cli(["network", "create", "x"], { answers: taken })).toMatchObject({
    status: 1,
    err: "Error response from daemon: network with name x already exists\n",
  });
});

test("network connect, disconnect and inspect; a name may hold spaces", async () => {
  const answers = {
    "POST /networks/my%20net/connect": {},
    "POST /networks/n/disconnect": {},
    "GET /networks/n": { Name: "n" },
  };
  const connected = await cli(
    [
      "network",
      "connect",
      "--alias",
      "db",
      "--ip",
      "1.2.3.4",
      "--ip6",
      "::1",
      "--link",
      "a:b",
      "--gw-priority",
      "-3",
      "my net",
      "c",
    ],
    { answers },
  );
  expect(connected.status).toBe(0);
  expect(connected.bodies).toMatchObject([
    {
      Container: "c",
      EndpointConfig: {
        Aliases: ["db"],
        Links: ["a:b"],
        GwPriority: -3,
        IPAMConfig: { IPv4Address: "1.2.3.4", IPv6Address: "::1" },
      },
    },
  ]);
  expect((await cli(["network", "disconnect", "-f", "n", "c"], { answers })).bodies).toEqual([
    { Container: "c", Force: true },
  ]);
  expect(await cli(["network", "inspect", "-v", "-f", "{{.Name}}", "n"], { answers })).toMatchObject({
    out: "n\n",
    asked: ["GET /networks/n?verbose=true"],
  });
  expect(await cli(["network", "connect", "n"])).toMatchObject({ status: 1 });
  expect(await cli(["network", "disconnect", "x", "c"])).toMatchObject({ status: 1 });
});

test("volume create and inspect", async () => {
  const answers = { "POST /volumes/create": { Name: "made" }, "GET /volumes/v": volume("v") };
  const ran = await cli(["volume", "create", "-o", "type=tmpfs", "--label", "a=b", "v"], { answers });
  expect(ran).toMatchObject({
    status: 0,
    out: "made\n",
    bodies: [{ Name: "v", Driver: "local", DriverOpts: { type: "tmpfs" }, Labels: { a: "b" } }],
  });
  expect((await cli(["volume", "create"], { answers })).bodies).toMatchObject([{ Name: "" }]);
  expect(await cli(["volume", "create", "--name", "a", "b"])).toMatchObject({ status: 1, asked: [] });
  expect((await cli(["volume", "inspect", "-f", "{{.Mountpoint}}", "v"], { answers })).out).toBe("/v/v\n");
  expect(await cli(["volume", "inspect", "none"])).toMatchObject({ status: 1, out: "[]\n" });
});

import { describe, expect, test } from "bun:test";
import { kindOf } from "../errors/mod.ts";
import {
  decodeContainerCreate,
  decodeExecCreate,
  decodeExecStart,
  decodeNetworkConnect,
  decodeNetworkCreate,
  decodeNetworkDisconnect,
  decodeUpdate,
  decodeVolumeCreate,
} from "./mod.ts";

const refusal = (body: () => unknown): string => {
  try {
    body();
  } catch (err) {
    return `${kindOf(err)}: ${(err as Error).message}`;
  }
  return "accepted";
};

describe("container create", () => {
  test("an empty body is complete, with dockerd's zero values", () => {
    for (const body of [undefined, null, {}, { HostConfig: null, NetworkingConfig: null }]) {
      const { config, hostConfig, endpoints } = decodeContainerCreate(body);
      expect(config).toMatchObject({
        Hostname: "",
        Env: [],
        Cmd: null,
        Entrypoint: null,
        Labels: {},
        Tty: false,
        Volumes: null,
      });
      expect(hostConfig).toMatchObject({
        NetworkMode: "",
        LogConfig: { Type: "", Config: {} },
        RestartPolicy: { Name: "", MaximumRetryCount: 0 },
        PortBindings: {},
        Memory: 0,
        PidsLimit: null,
        ConsoleSize: [0, 0],
        Binds: null,
        Ulimits: null,
      });
      expect(hostConfig).not.toHaveProperty("Init");
      expect(endpoints).toEqual({});
    }
  });

  test("keys match whatever their case, null is absent, unknown keys pass", () => {
    const { config, hostConfig, endpoints } = decodeContainerCreate({
      image: "nginx",
      TTY: true,
      Cmd: null,
      env: ["A=b"],
      Labels: { MyKey: "Kept" },
      Nonsense: { a: 1 },
      hostconfig: { memory: 42, autoremove: true, MASKEDPATHS: [], Binds: null },
      networkingConfig: {
        endpointsconfig: { MyNet: { aliases: ["db"], IPAMConfig: { ipv4address: "10.0.0.2" } }, other: null },
      },
    });
    expect(config).toMatchObject({ Image: "nginx", Tty: true, Cmd: null, Env: ["A=b"], Labels: { MyKey: "Kept" } });
    expect(config).not.toHaveProperty("Nonsense");
    expect(hostConfig).toMatchObject({ Memory: 42, AutoRemove: true, MaskedPaths: [], Binds: null });
    expect(endpoints).toEqual({ MyNet: { Aliases: ["db"], IPAMConfig: { IPv4Address: "10.0.0.2" } }, other: {} });
  });

  test("commands may be a string, ports a number", () => {
    const { config, hostConfig } = decodeContainerCreate({
      Cmd: "ls",
      Entrypoint: ["a", "b"],
      ExposedPorts: { "80/tcp": {}, "81/udp": null },
      HostConfig: {
        PortBindings: {
          "80/tcp": [{ HostPort: 8080 }, { HostIp: "127.0.0.1", HostPort: "1-2" }],
          "81/udp": null,
          "82/tcp": [null],
        },
        GroupAdd: [7, "staff"],
      },
    });
    expect(config.Cmd).toEqual(["ls"]);
    expect(config.Entrypoint).toEqual(["a", "b"]);
    expect(config.ExposedPorts).toEqual({ "80/tcp": {}, "81/udp": {} });
    expect(hostConfig.PortBindings).toEqual({
      "80/tcp": [
        { HostIp: "", HostPort: "8080" },
        { HostIp: "127.0.0.1", HostPort: "1-2" },
      ],
      "81/udp": null,
      "82/tcp": [{ HostIp: "", HostPort: "" }],
    });
    expect(hostConfig.GroupAdd).toEqual(["7", "staff"]);
  });

  test("everything of a full body arrives", () => {
    const HostConfig = {
      Mounts: [
        {
          Type: "volume",
          Source: "v",
          Target: "/v",
          ReadOnly: true,
          BindOptions: { Propagation: "rprivate", NonRecursive: true },
          VolumeOptions: {
            NoCopy: true,
            Labels: { a: "b" },
            DriverConfig: { Name: "local", Options: { o: "x" } },
            Subpath: "s",
          },
          TmpfsOptions: { SizeBytes: 5, Mode: 0o1777, Options: [["noexec"]] },
          ImageOptions: { Subpath: "i" },
        },
      ],
      Ulimits: [{ Name: "nofile", Soft: 1, Hard: -1 }],
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/x", CgroupPermissions: "rwm" }],
      BlkioWeightDevice: [{ Path: "/dev/a", Weight: 5 }],
      BlkioDeviceReadBps: [{ Path: "/dev/a", Rate: 5 }],
      MemorySwap: -1,
      ConsoleSize: [24, 80],
      Init: true,
      Sysctls: { "net.x": "1" },
      LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
      RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
      Tmpfs: { "/t": "size=1m" },
      OomKillDisable: false,
    };
    const Healthcheck = { Test: ["CMD", "x"], Interval: 500_000_000, Retries: 2, StartInterval: 1 };
    const body = {
      Image: "i",
      Healthcheck,
      StopTimeout: -1,
      StopSignal: "TERM",
      Shell: ["sh"],
      OnBuild: ["RUN x"],
      HostConfig,
    };
    const { config, hostConfig } = decodeContainerCreate(body);
    expect(hostConfig).toMatchObject(HostConfig as never);
    expect(config).toMatchObject({
      Healthcheck,
      StopTimeout: -1,
      StopSignal: "TERM",
      Shell: ["sh"],
      OnBuild: ["RUN x"],
    });
  });

  test("a wrong type is refused with its place", () => {
    const cases: [unknown, string][] = [
      [[], "the body must be an object, not an array"],
      ["x", "the body must be an object, not string"],
      [{ Tty: "true" }, "Tty must be a boolean, not string"],
      [{ Env: "A=b" }, "Env must be an array, not string"],
      [{ Env: ["A=b", 3] }, "Env[1] must be a string, not the number 3"],
      [{ Labels: { a: 1 } }, "Labels.a must be a string, not the number 1"],
      [{ HostConfig: { Memory: "1g" } }, "HostConfig.Memory must be an integer, not string"],
      [{ HostConfig: { Memory: 1.5 } }, "HostConfig.Memory must be an integer, not the number 1.5"],
      [{ HostConfig: { Memory: 1e30 } }, "HostConfig.Memory must be an integer, not the number 1e+30"],
      [{ HostConfig: { Mounts: [{ Type: 1 }] } }, "HostConfig.Mounts[0].Type must be a string, not the number 1"],
      [{ HostConfig: { ConsoleSize: [1] } }, "HostConfig.ConsoleSize must be an array of height and width"],
      [
        { HostConfig: { PortBindings: { "80/tcp": [{ HostPort: {} }] } } },
        "HostConfig.PortBindings.80/tcp[0].HostPort must be a string, not object",
      ],
      [
        { NetworkingConfig: { EndpointsConfig: { n: [] } } },
        "NetworkingConfig.EndpointsConfig.n must be an object, not an array",
      ],
      [{ Healthcheck: { Interval: "1s" } }, "Healthcheck.Interval must be an integer, not string"],
    ];
    for (const [body, message] of cases)
      expect(refusal(() => decodeContainerCreate(body))).toBe(`invalid: invalid JSON: ${message}`);
  });

  test("names that mean something to JavaScript are only names", () => {
    const body = JSON.parse('{"Labels":{"__proto__":"x","constructor":"y"},"__proto__":{"Tty":true}}') as unknown;
    const { config } = decodeContainerCreate(body);
    expect(Object.entries(config.Labels)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
    expect(config.Tty).toBe(false);
  });
});

test("update holds only what was sent", () => {
  expect(decodeUpdate(undefined)).toEqual({});
  expect(decodeUpdate({ memory: 5, CpusetCpus: null, RestartPolicy: { Name: "always" }, Image: "x" })).toEqual({
    Memory: 5,
    RestartPolicy: { Name: "always", MaximumRetryCount: 0 },
  });
});

test("exec bodies", () => {
  expect(decodeExecCreate({ cmd: ["ls"], attachstdout: true, ConsoleSize: [1, 2] })).toEqual({
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: false,
    Tty: false,
    Env: null,
    Cmd: ["ls"],
    Privileged: false,
    User: "",
    WorkingDir: "",
    ConsoleSize: [1, 2],
  });
  expect(decodeExecStart(undefined)).toEqual({ Detach: false, Tty: false });
  expect(decodeExecStart({ detach: true, tty: true })).toEqual({ Detach: true, Tty: true });
});

test("network bodies", () => {
  const create = decodeNetworkCreate({
    Name: "my net",
    IPAM: {
      Driver: "default",
      Config: [{ Subnet: "10.0.0.0/8", AuxiliaryAddresses: { a: "10.0.0.9" } }],
      Options: null,
    },
    EnableIPv6: true,
    CheckDuplicate: true,
  });
  expect(create).toEqual({
    Name: "my net",
    Driver: "",
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigOnly: false,
    EnableIPv6: true,
    IPAM: { Driver: "default", Config: [{ Subnet: "10.0.0.0/8", AuxiliaryAddresses: { a: "10.0.0.9" } }] },
    Options: {},
    Labels: {},
  });
  expect(refusal(() => decodeNetworkCreate({}))).toBe("invalid: Name is required");
  expect(decodeNetworkCreate({ Name: "a", ConfigFrom: { Network: "x" } })).toEqual({
    Name: "a",
    Driver: "",
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigOnly: false,
    ConfigFrom: "x",
    Options: {},
    Labels: {},
  });
  expect(decodeNetworkConnect({ container: "c", endpointconfig: { GwPriority: 1 } })).toEqual({
    Container: "c",
    EndpointConfig: { GwPriority: 1 },
  });
  expect(refusal(() => decodeNetworkConnect(undefined))).toBe("invalid: Container is required");
  expect(decodeNetworkDisconnect({ Container: "c", force: true })).toEqual({ Container: "c", Force: true });
});

test("volume bodies: the name is optional, cluster volumes are refused by name", () => {
  expect(decodeVolumeCreate(undefined)).toEqual({ Name: "", Driver: "", DriverOpts: {}, Labels: {} });
  expect(decodeVolumeCreate({ name: "v", DriverOpts: { type: "tmpfs" } })).toMatchObject({
    Name: "v",
    DriverOpts: { type: "tmpfs" },
  });
  expect(refusal(() => decodeVolumeCreate({ ClusterVolumeSpec: {} }))).toStartWith(
    "not-implemented: ClusterVolumeSpec",
  );
});

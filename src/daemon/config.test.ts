import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "./config.ts";

const directory = mkdtempSync(join(tmpdir(), "berth-config-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(content: unknown): string {
  const path = join(directory, `${crypto.randomUUID()}.json`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

const none = file({});
const roots = (name: string) => ["--data-root", `/srv/${name}`, "--exec-root", `/run/${name}`, "--config-file", none];

test("what nobody chose follows from the roots, so that two daemons never meet", () => {
  const [one, two] = [readConfig(roots("one")), readConfig(roots("two"))];
  for (const key of ["tag", "bridge", "cgroupParent", "pidfile"] as const) expect(one[key]).not.toBe(two[key]);
  expect(one.hosts).toEqual(["unix:///run/one/berth.sock"]);
  expect(one.bridge.length).toBeLessThanOrEqual(15);
  expect(readConfig(roots("one")).tag).toBe(one.tag);
});

test("the daemon on the default roots has the names that clients expect", () => {
  const config = readConfig(["--config-file", none]);
  expect(config).toMatchObject({
    hosts: ["unix:///run/berth.sock"],
    dataRoot: "/var/lib/berth",
    bridge: "berth0",
    cgroupParent: "/berth",
  });
});

test("containers are the host's own users unless somebody is named, by flag or in the file", () => {
  expect(readConfig(["--config-file", none]).usernsRemap).toBeUndefined();
  const path = file({ "userns-remap": "default" });
  expect(readConfig(["--config-file", path]).usernsRemap).toBe("default");
  expect(readConfig(["--config-file", path, "--userns-remap", "1000:1000"]).usernsRemap).toBe("1000:1000");
});

test("the size of the build cache: a flag, or dockerd's key in the file", () => {
  const size = (builder: unknown, ...flags: string[]) =>
    readConfig(["--config-file", file({ builder }), ...flags]).buildCacheSize;
  expect(readConfig(["--config-file", none]).buildCacheSize).toBe(0);
  expect(size({ gc: { enabled: true, defaultKeepStorage: "2GB" } })).toBe(2 * 1024 ** 3);
  expect(size({ gc: { enabled: false, defaultKeepStorage: "2GB" } })).toBe(0);
  expect(size({}, "--build-cache-size", "1m")).toBe(1024 ** 2);
  expect(() => size({ gc: { policy: [] } })).toThrow("builder.gc.policy is not supported");
  expect(() => size({ gc: { enabled: "yes" } })).toThrow("builder.gc.enabled must be true or false");
  expect(() => size({ gc: 1 })).toThrow("builder.gc must be an object");
  expect(() => size({}, "--build-cache-size", "much")).toThrow("build-cache-size: ");
});

test("flags count before the file, and the file before defaults", () => {
  const path = file({
    "log-level": "warn",
    "registry-mirrors": ["http://a"],
    runtime: "runc",
    hosts: ["tcp://127.0.0.1:1"],
  });
  const fromFile = readConfig(["--config-file", path]);
  expect(fromFile).toMatchObject({
    logLevel: "warn",
    registryMirrors: ["http://a"],
    runtime: "runc",
    hosts: ["tcp://127.0.0.1:1"],
  });
  const flags = [
    "--log-level",
    "error",
    "--registry-mirror",
    "http://b",
    "--registry-mirror",
    "http://c",
    "-H",
    "unix:///x",
  ];
  const given = readConfig(["--config-file", path, ...flags]);
  expect(given).toMatchObject({ logLevel: "error", registryMirrors: ["http://b", "http://c"], hosts: ["unix:///x"] });
  expect(readConfig(["--config-file", path, "-D"]).logLevel).toBe("debug");
});

test("containers' defaults by flag, by the file under dockerd's names, and what there is without either", () => {
  const plain = readConfig(["--config-file", none]).containers;
  expect(plain).toEqual({
    ...{ ulimits: [], shmSize: 64 << 20, ipcMode: "private", init: false, noNewPrivileges: false, seccomp: "default" },
    ...{ dns: [], dnsOptions: [], dnsSearch: [], hostGateways: [] },
  });
  const profile = file({ defaultAction: "SCMP_ACT_ALLOW" });
  const path = file({
    "default-ulimits": { nofile: { Name: "nofile", Soft: 1024, Hard: 2048 }, core: { Soft: 0, Hard: -1 } },
    ...{ "default-shm-size": "32M", "default-ipc-mode": "shareable", "default-cgroupns-mode": "host", init: true },
    ...{ "no-new-privileges": true, "seccomp-profile": profile, "default-runtime": "runc" },
    ...{ dns: ["1.1.1.1"], "dns-opts": ["rotate"], "dns-search": ["a.b"], "host-gateway-ips": ["10.0.0.1"] },
  });
  const fromFile = readConfig(["--config-file", path]);
  expect(fromFile.runtime).toBe("runc");
  expect(fromFile.containers).toEqual({
    ulimits: [
      { Name: "nofile", Soft: 1024, Hard: 2048 },
      { Name: "core", Soft: 0, Hard: -1 },
    ],
    ...{ shmSize: 32 << 20, ipcMode: "shareable", cgroupnsMode: "host", init: true, noNewPrivileges: true },
    ...{ seccomp: { defaultAction: "SCMP_ACT_ALLOW" }, dns: ["1.1.1.1"], dnsOptions: ["rotate"] },
    ...{ dnsSearch: ["a.b"], hostGateways: ["10.0.0.1"] },
  });
  const flags = ["--default-ulimit", "core=1:2", "--default-shm-size", "1g", "--default-ipc-mode", "private"];
  const more = ["--init=false", "--no-new-privileges=false", "--seccomp-profile", "unconfined", "--dns", "::1"];
  const both = readConfig(["--config-file", path, ...flags, ...more, "--default-runtime", "crun"]);
  expect(both.runtime).toBe("crun");
  expect(both.containers).toMatchObject({
    ...{ ulimits: [{ Name: "core", Soft: 1, Hard: 2 }], shmSize: 2 ** 30, ipcMode: "private", init: false },
    ...{ noNewPrivileges: false, seccomp: "unconfined", dns: ["::1"], dnsSearch: ["a.b"] },
  });
  expect(readConfig(["--config-file", file({ "default-shm-size": 4096 })]).containers.shmSize).toBe(4096);
});

test("the log driver and its options: flags go over the file, one by one", () => {
  const path = file({ "log-driver": "local", "log-opts": { "max-size": "1m", "max-file": "2" } });
  expect(readConfig(["--config-file", none]).logDefaults).toEqual({ Type: "json-file", Config: {} });
  expect(readConfig(["--config-file", path]).logDefaults).toEqual({
    Type: "local",
    Config: { "max-size": "1m", "max-file": "2" },
  });
  const flags = ["--log-driver", "none", "--log-opt", "max-file=3", "--log-opt", "tag=a=b"];
  expect(readConfig(["--config-file", path, ...flags]).logDefaults).toEqual({
    Type: "none",
    Config: { "max-size": "1m", "max-file": "3", tag: "a=b" },
  });
});

test.each([
  [["--nope"], "unknown flag: --nope"],
  [["extra", "--config-file", none], 'unknown argument "extra"'],
  [["--config-file", "/no/such"], "configuration file /no/such does not exist"],
  [["--config-file", file({ "storage-driver": "zfs" })], 'key "storage-driver" is not supported'],
  [["--config-file", file({ hosts: "unix:///x" })], "hosts must be a list of strings"],
  [["--config-file", file({ "data-root": 5 })], "data-root must be a string"],
  [["--config-file", file("not json")], "JSON"],
  [["--config-file", file([])], "must hold an object"],
  [["--config-file", file({ "log-level": "loud" })], 'log-level "loud": must be one of debug, info, warn, error'],
  [["--config-file", file({ runtime: "kata" })], 'runtime "kata": must be auto, crun or runc'],
  [["--config-file", file({ init: "yes" })], "init must be true or false"],
  [["--config-file", file({ "default-ulimits": ["nofile"] })], "default-ulimits must hold limits by name"],
  [["--config-file", file({ "default-ulimits": { odd: { Soft: 1, Hard: 1 } } })], "invalid ulimit type: odd"],
  [
    ["--config-file", file({ "default-ipc-mode": "host" })],
    'default-ipc-mode "host": must be one of private, shareable',
  ],
  [["--config-file", file({ "default-shm-size": [] })], "default-shm-size must be a size"],
  [["--config-file", file({ dns: ["x"] })], 'dns "x" is not an ip address'],
  [["--config-file", file({ "default-runtime": "kata" })], 'runtime "kata": must be auto, crun or runc'],
  [["--config-file", none, "--default-shm-size", "big"], "invalid size: 'big'"],
  [["--config-file", none, "--default-cgroupns-mode", "x"], "must be one of , private, host"],
  [["--config-file", none, "--seccomp-profile", "/no/such"], "seccomp-profile /no/such: ENOENT"],
  [["--config-file", none, "--host-gateway-ip", "gateway"], 'host-gateway-ip "gateway" is not an ip address'],
  [["--config-file", file({ "log-opts": ["a=b"] })], "log-opts must be an object of strings"],
  [["--config-file", file({ "log-opts": { "max-file": 3 } })], "log-opts must be an object of strings"],
  [["--config-file", none, "--log-opt", "max-size"], 'log-opt "max-size": must be KEY=VALUE'],
  [["--config-file", none, "--bridge", "a-name-that-is-too-long"], "not a network interface name"],
])("%p is refused", (argv, message) => {
  expect(() => readConfig(argv)).toThrow(message);
});

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RuntimeSpec, SpecInput } from "./runtime.ts";
import { ociSpec, specText } from "./spec.ts";
import { controls, plainInput } from "./testing/lab.ts";

const spec = (change: Partial<SpecInput> = {}) => ociSpec({ ...plainInput, ...change });
const mountAt = (made: RuntimeSpec, destination: string) =>
  made.mounts.find((mount) => mount.destination === destination);
const unlimited = plainInput.limits;

/** Rewrite with `BERTH_GOLDEN=1 bun test src/runtime/spec.test.ts`, then read the difference. */
async function golden(name: string, made: RuntimeSpec): Promise<void> {
  const file = join(import.meta.dir, "testing/golden", `${name}.json`);
  const text = `${JSON.stringify(made, null, 2)}\n`;
  if (process.env["BERTH_GOLDEN"]) await Bun.write(file, text);
  expect(JSON.parse(text)).toEqual(JSON.parse(readFileSync(file, "utf8")));
}

describe("golden", () => {
  test("a container that asks for nothing", () => golden("plain", spec({ seccomp: "unconfined" })));
  test("a privileged one", () => golden("privileged", spec({ privileged: true })));
  test("one that asks for everything", () =>
    golden(
      "full",
      spec({
        seccomp: "unconfined",
        readonlyRootfs: true,
        hostname: "h",
        domainname: "d",
        init: "/usr/bin/tini",
        process: {
          ...plainInput.process,
          terminal: true,
          uid: 5,
          gid: 6,
          additionalGids: [7],
          size: { rows: 3, columns: 4 },
        },
        mounts: [{ type: "bind", source: "/src", options: ["rbind", "rslave"], destination: "/dst" }],
        capAdd: ["NET_ADMIN", "SYS_RESOURCE"],
        capDrop: ["KILL"],
        noNewPrivileges: true,
        maskedPaths: [],
        readonlyPaths: ["/proc/sys"],
        namespaces: { pid: "/proc/1/ns/pid", ipc: "host", uts: "private", network: "/run/netns/x", cgroup: "private" },
        sysctls: { "net.ipv4.ip_unprivileged_port_start": "1024", "net.ipv4.tcp_syncookies": "0" },
        resources: {
          memory: 100,
          memorySwap: 0,
          memoryReservation: 50,
          memorySwappiness: 10,
          oomKillDisable: true,
          nanoCpus: 1_500_000_000,
          cpuShares: 2,
          cpuPeriod: 0,
          cpuQuota: 0,
          cpusetCpus: "0-1",
          cpusetMems: "0",
          pidsLimit: 10,
          blkioWeight: 500,
          throttle: [{ kind: "readBps", major: 8, minor: 0, rate: 1024 }],
        },
        devices: [
          {
            hostPath: "/dev/fuse",
            containerPath: "/dev/fuse",
            permissions: "rw",
            node: { type: "c", major: 10, minor: 229, mode: 0o666, uid: 0, gid: 0 },
          },
        ],
        deviceCgroupRules: ["b 8:* r", "a *:* rwm"],
        rlimits: [{ name: "nofile", soft: 1_048_576, hard: 1_048_576 }],
        oomScoreAdj: -500,
        apparmorProfile: "docker-default",
        selinuxLabel: "label",
        annotations: { a: "b" },
      }),
    ));
});

describe("what the host cannot give is left out", () => {
  const resources = {
    ...plainInput.resources,
    memory: 100,
    memorySwappiness: 5,
    oomKillDisable: true,
    blkioWeight: 300,
  };

  test("swap, swappiness, the OOM switch and weights", () => {
    const v2 = { swap: false, swappiness: false, oomKillDisable: false };
    const limits = { ...unlimited, controls: controls(v2) };
    expect(spec({ resources, limits }).linux["resources"]).toMatchObject({ memory: { limit: 100 } });
    expect((spec({ resources, limits }).linux["resources"] as { memory: object }).memory).toEqual({ limit: 100 });
    const weighted = spec({ resources, limits: { ...unlimited, controls: controls({ blkioWeight: true }) } }).linux[
      "resources"
    ];
    expect(weighted).toMatchObject({ blockIO: { weight: 300 } });
  });

  test("security labels come only with their modules", () => {
    const limits = { ...unlimited, apparmor: true, selinux: true };
    const { process } = spec({ limits, apparmorProfile: "p", selinuxLabel: "l" });
    expect(process).toMatchObject({ apparmorProfile: "p", selinuxLabel: "l" });
  });

  test("rlimits are clamped, no limit stays none where the host has none", () => {
    const limits = { ...unlimited, rlimits: new Map([["RLIMIT_CORE", 5]]) };
    const rlimits = [
      { name: "nofile", soft: 10, hard: -1 },
      { name: "core", soft: -1, hard: -1 },
    ];
    const made = spec({ limits, rlimits });
    expect(specText(made)).toContain('{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":10}');
    expect(made.process.rlimits?.[1]).toEqual({ type: "RLIMIT_CORE", hard: 5, soft: 5 });
  });

  test("an OOM score below the daemon's own", () => {
    expect(spec({ oomScoreAdj: -900 }).process.oomScoreAdj).toBe(0);
    expect(spec({ oomScoreAdj: -900, limits: { ...unlimited, oomScoreAdj: -1000 } }).process.oomScoreAdj).toBe(-900);
    expect(spec({ oomScoreAdj: 100 }).process.oomScoreAdj).toBe(100);
  });
});

describe("mounts", () => {
  test("the container's own replace default ones, /dev with what is below it", () => {
    const shm = spec({ mounts: [{ type: "bind", source: "/x", options: ["rbind"], destination: "/dev/shm/" }] });
    expect(shm.mounts.filter((mount) => mount.destination.startsWith("/dev/shm"))).toHaveLength(1);
    const dev = spec({ mounts: [{ type: "bind", source: "/dev", options: ["rbind"], destination: "/dev" }] });
    expect(dev.mounts.map((mount) => mount.destination)).toEqual(["/proc", "/sys", "/sys/fs/cgroup", "/dev"]);
  });

  test("privileged sees /sys writable unless its root is read-only", () => {
    expect(mountAt(spec({ privileged: true }), "/sys")?.options).not.toContain("ro");
    expect(mountAt(spec({ privileged: true, readonlyRootfs: true }), "/sys")?.options).toContain("ro");
  });

  test("propagation opens the root's own mount", () => {
    const shared = { type: "bind", source: "/x", options: ["rbind", "rshared"], destination: "/x" };
    expect(spec({ mounts: [shared] }).linux["rootfsPropagation"]).toBe("shared");
    expect(spec().linux["rootfsPropagation"]).toBeUndefined();
  });
});

describe("refused", () => {
  test("a bad device rule, a device nobody looked at", () => {
    expect(() => spec({ deviceCgroupRules: ["x"] })).toThrow("invalid device cgroup rule format: 'x'");
    const devices = [{ hostPath: "/dev/fuse", containerPath: "/dev/fuse", permissions: "r" }];
    expect(() => spec({ devices })).toThrow("was not resolved");
  });
});

test("a user namespace is joined before the others, says who is who, and has groups of its own for ping", () => {
  const ranges = [{ inside: 0, outside: 100_000, size: 1000 }];
  const user = "/run/userns/x";
  const network = "/run/netns/x";
  const { linux } = spec({
    namespaces: { ...plainInput.namespaces, network, user },
    idMap: { uids: ranges, gids: ranges },
  });
  expect((linux["namespaces"] as { type: string }[])[1]).toEqual({ type: "user", path: user } as { type: string });
  const mapping = [{ containerID: 0, hostID: 100_000, size: 1000 }];
  expect(linux).toMatchObject({ uidMappings: mapping, gidMappings: mapping });
  expect(linux["sysctl"]).toMatchObject({ "net.ipv4.ping_group_range": "0 999" });
  const host = spec({ namespaces: { ...plainInput.namespaces, user: "host" } });
  expect(host).toEqual(spec());
});

test("low ports and ping are for everybody in a network of its own, unless the user says otherwise or it is another's", () => {
  const defaults = { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" };
  const own = { namespaces: { ...plainInput.namespaces, network: "/run/berth/netns/x" } };
  expect(spec(own).linux["sysctl"]).toEqual(defaults);
  const asked = { "net.ipv4.ping_group_range": "1 0" };
  expect(spec({ ...own, sysctls: asked }).linux["sysctl"]).toEqual({ ...defaults, ...asked });
  expect(spec({ ...own, sysctls: asked, joinsNetwork: true }).linux["sysctl"]).toEqual(asked);
});

test("with the host's UTS and network namespaces no name and no sysctl is set", () => {
  const made = spec({ domainname: "d", namespaces: { ...plainInput.namespaces, uts: "host", network: "host" } });
  expect(made.hostname).toBeUndefined();
  expect(made.linux["sysctl"]).toEqual({});
});

import { describe, expect, test } from "bun:test";
import type { CgroupControls } from "../../host/mod.ts";
import type { DoctorVerdict } from "../../wire/mod.ts";
import { checks, type DoctorFacts } from "./doctor.ts";
import type { KernelFacts } from "./kernel.ts";
import type { MachineFacts } from "./machine.ts";
import type { NetworkingFacts } from "./networking.ts";
import { askedPrograms, type ProgramFacts } from "./programs.ts";

const controls: CgroupControls = {
  ...{ memory: true, swap: true, reservation: true, swappiness: true, oomKillDisable: true, namespaces: true },
  ...{ cpuShares: true, cpuQuota: true, cpuRealtime: false, cpuset: true, cpus: "0-1", mems: "0", pids: true },
  ...{ blkioWeight: true, blkioWeightDevice: true, readBps: true, writeBps: true, readIOps: true, writeIOps: true },
};
const accepted = { accept: true, drop: false };
const dropped = { accept: false, drop: true, by: "ip filter FORWARD" };

/** A host where everything is in order. */
const good: DoctorFacts = {
  kernel: {
    ...{ release: "6.18.5-amd64", overlay: true, nfTables: true, userNamespacesMost: 15000 },
    namespaces: ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"],
    cgroups: { version: "v2", controls },
    conntrack: { count: 10, most: 1000 },
    apparmor: { enabled: true, profile: "berth-default" },
  },
  programs: {
    versions: new Map(askedPrograms.map(({ name }) => [name, `${name} version 1.2.3 (x)\n`])),
    runtime: { name: "crun", reason: "it works" },
    apparmor: true,
  },
  networking: {
    firewall: { received: accepted, passed: accepted, sent: accepted, warnings: [] },
    resolvers: [{ server: "127.0.0.53", answers: true }],
    ...{ overlaps: [], leftovers: [], forwarding: true, bridgeFilter: true, legacyTables: [] },
  },
  machine: {
    ...{ dataRoot: "/var/lib/berth", fileSystem: "ext4", now: 2e12, notBefore: 1e12, openFiles: 1048576 },
    space: { free: 100 * 2 ** 30, all: 200 * 2 ** 30 },
    inodes: { free: 1e6, all: 2e6 },
    sockets: [{ address: "unix:///run/berth.sock", mode: 0o140660 }],
  },
};

interface Change {
  readonly kernel?: Partial<KernelFacts>;
  readonly programs?: Partial<ProgramFacts>;
  readonly networking?: Partial<NetworkingFacts>;
  readonly machine?: Partial<MachineFacts>;
}

/** The checks that are not ok with these facts instead, as `VERDICT NAME: MESSAGE`. */
function complaints(change: Change): string[] {
  const facts = Object.fromEntries(
    Object.entries(good).map(([key, value]) => [key, { ...value, ...change[key as keyof Change] }]),
  ) as unknown as DoctorFacts;
  const bad = checks(facts).filter(({ Verdict }) => Verdict !== "ok");
  return bad.map(({ Name, Verdict, Message }) => `${Verdict} ${Name}: ${Message}`);
}

test("a good host has nothing to complain of, and each check a name of its own", () => {
  expect(complaints({})).toEqual([]);
  const names = checks(good).map(({ Name }) => Name);
  expect(new Set(names).size).toBe(names.length);
});

test("every problem says what to do", () => {
  const worst = {
    kernel: { ...good.kernel, overlay: false, nfTables: false, namespaces: [], conntrack: { count: 1, most: 1 } },
    programs: { ...good.programs, versions: new Map() },
    networking: {
      ...good.networking,
      forwarding: false,
      firewall: { received: dropped, passed: dropped, sent: dropped, warnings: ["x"] },
    },
    machine: {
      ...good.machine,
      fileSystem: "nfs4",
      space: { free: 0, all: 1 },
      now: 0,
      sockets: [{ address: "tcp://0.0.0.0:2375" }],
    },
  };
  const bad = checks(worst).filter(({ Verdict }) => Verdict === "problem");
  expect(bad.length).toBeGreaterThan(10);
  expect(bad.filter(({ Advice = "" }) => Advice === "")).toEqual([]);
});

type Row = readonly [what: string, change: Change, expected: `${DoctorVerdict} ${string}`];

const rows: readonly Row[] = [
  ["an old kernel", { kernel: { release: "5.10.0-30" } }, "warning kernel: Linux 5.10.0-30 is older"],
  ["a kernel at the edge", { kernel: { release: "5.18.0" } }, "warning kernel"],
  ["no overlayfs", { kernel: { overlay: false } }, "problem overlay"],
  ["no user namespaces", { kernel: { userNamespacesMost: 0 } }, "warning namespaces: there are no user namespaces"],
  [
    "no pid namespaces",
    { kernel: { namespaces: ["mnt", "net", "uts", "ipc"] } },
    "problem namespaces: the kernel has no pid",
  ],
  [
    "no cgroup namespaces",
    { kernel: { namespaces: ["mnt", "net", "uts", "ipc", "pid", "user"] } },
    "warning namespaces: the kernel has no cgroup",
  ],
  [
    "no memory controller",
    { kernel: { cgroups: { version: "v2", controls: { ...controls, memory: false } } } },
    "warning cgroups: v2, without memory",
  ],
  [
    "no swap limit",
    { kernel: { cgroups: { version: "v1", controls: { ...controls, swap: false } } } },
    "warning swap limit",
  ],
  ["no nf_tables", { kernel: { nfTables: false } }, "problem nf_tables"],
  ["conntrack nearly full", { kernel: { conntrack: { count: 900, most: 1000 } } }, "warning connections: 900 of 1000"],
  ["conntrack full", { kernel: { conntrack: { count: 1000, most: 1000 } } }, "problem connections"],
  ["AppArmor without a profile", { kernel: { apparmor: { enabled: true } } }, "warning AppArmor"],
  ["conmon is missing", { programs: { versions: without("conmon") } }, "problem conmon"],
  ["git is missing", { programs: { versions: without("git") } }, "warning git: not in the daemon's PATH: builds"],
  ["no init", { programs: { versions: without("docker-init", "tini-static", "catatonit", "tini") } }, "warning init"],
  ["no OCI runtime", { programs: { versions: without("crun", "runc") } }, "problem OCI runtime"],
  ["no forwarding", { networking: { forwarding: false } }, "problem forwarding"],
  [
    "a firewall that keeps others out",
    firewall({ received: { accept: true, drop: true, by: "inet filter input" } }),
    "warning published ports: can be reached from outside although the host's firewall (chain inet filter input)",
  ],
  [
    "a firewall that passes nothing on",
    firewall({ passed: dropped }),
    "warning published ports: the host's firewall (chain ip filter FORWARD) drops them",
  ],
  [
    "a port that it silences",
    firewall({ passed: dropped, warnings: ["port 80 is silent"] }),
    "problem published ports: port 80 is silent",
  ],
  [
    "a port that is open",
    firewall({ received: dropped, warnings: ["port 80 is open"] }),
    "warning published ports: port 80 is open",
  ],
  [
    "a firewall that lets nothing out",
    firewall({ sent: dropped }),
    "problem way out: the host's firewall (chain ip filter FORWARD) drops what containers send",
  ],
  [
    "rules that were not read",
    firewall({ problem: "too large" }),
    "warning firewall: the host's nft rules were not looked at: too large",
  ],
  ["the old iptables", { networking: { legacyTables: ["nat", "filter"] } }, "warning firewall: the old iptables"],
  [
    "a silent resolver",
    { networking: { resolvers: [{ server: "192.0.2.1", answers: false }] } },
    "warning resolvers: no answer from 192.0.2.1, which /etc/resolv.conf names: names of the world do not resolve",
  ],
  [
    "a route into a network",
    { networking: { overlaps: [{ network: "front", subnet: "10.1.0.0/24", route: "10.0.0.0/8", link: "tun0" }] } },
    "warning subnets: network front (10.1.0.0/24) takes what the route 10.0.0.0/8 would lead to tun0",
  ],
  [
    "leftovers",
    { networking: { leftovers: ["table ip berth_x"] } },
    "warning leftovers: in the kernel, but in nobody's books: table ip berth_x",
  ],
  ["a data root on nfs", { machine: { fileSystem: "nfs4" } }, "problem data root"],
  ["one on something else", { machine: { fileSystem: "reiserfs" } }, "warning data root"],
  [
    "little room",
    { machine: { space: { free: 4 * 2 ** 30, all: 500 * 2 ** 30 } } },
    "warning disk: 4.0 GiB of 500.0 GiB",
  ],
  ["no room", { machine: { space: { free: 2 ** 29, all: 500 * 2 ** 30 } } }, "problem disk"],
  [
    "no inodes",
    { machine: { inodes: { free: 10, all: 1e6 } } },
    "problem disk: 100.0 GiB of 200.0 GiB are free, but only 10 of 1000000 inodes",
  ],
  ["a wrong clock", { machine: { now: 0 } }, "problem clock: it is 1970-01-01"],
  ["few files", { machine: { openFiles: 1024 } }, "warning open files"],
  [
    "a socket for everybody",
    sockets({ address: "unix:///run/b.sock", mode: 0o140666 }),
    "problem socket unix:///run/b.sock: everybody",
  ],
  [
    "a socket that is gone",
    sockets({ address: "unix:///run/b.sock" }),
    "problem socket unix:///run/b.sock: its file is gone",
  ],
  ["TCP for all", sockets({ address: "tcp://0.0.0.0:2375" }), "problem socket tcp://0.0.0.0:2375"],
  ["TCP for the host", sockets({ address: "tcp://127.0.0.1:2375" }), "warning socket tcp://127.0.0.1:2375"],
];

describe("what is not in order", () => {
  test.each(rows)("%s", (_, change, expected) => {
    expect(complaints(change)).toEqual([expect.stringMatching(new RegExp(`^${RegExp.escape(expected)}`))]);
  });

  test("a firewall that passes nothing on stands between containers, too, where the bridge asks it", () => {
    const asked = complaints({ networking: { ...firewall({ passed: dropped }).networking, bridgeFilter: true } });
    expect(asked).toContainEqual(expect.stringMatching(/^warning br_netfilter/));
  });
});

function without(...names: readonly string[]): ProgramFacts["versions"] {
  return new Map([...good.programs.versions].filter(([name]) => !names.includes(name)));
}

function firewall(change: Partial<NetworkingFacts["firewall"]>): { readonly networking: Partial<NetworkingFacts> } {
  return { networking: { firewall: { ...good.networking.firewall, ...change }, bridgeFilter: false } };
}

function sockets(...all: MachineFacts["sockets"]): Change {
  return { machine: { sockets: all } };
}

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createMounts } from "../mounts.ts";
import { createNet } from "../net/net.ts";
import { createProcesses } from "../processes.ts";
import { insideId, nobody, outsideId, parseMap } from "./id-map.ts";
import { createUserNamespaces } from "./users.ts";

const processes = createProcesses();
const [users, mounts, net] = [createUserNamespaces(processes), createMounts(), createNet(processes)];
const ranges = [
  { inside: 0, outside: 100_000, size: 1000 },
  { inside: 1000, outside: 300_000, size: 10 },
];
const map = { uids: ranges, gids: ranges };
let directory = "";
beforeEach(() => {
  directory = mkdtempSync("/tmp/berth-users-");
  chmodSync(directory, 0o711);
});
afterEach(() => {
  for (const { target } of mounts.list().reverse())
    if (target.startsWith(`${directory}/`)) mounts.unmount(target, "detach");
  rmSync(directory, { recursive: true });
});

const within = (path: string, script: string) => processes.run(["nsenter", `--user=${path}`, "sh", "-c", script]);

describe("a map", () => {
  test("leads both ways", () => {
    expect([0, 999, 1000, 1009, 1010].map((id) => outsideId(ranges, id))).toEqual([
      ...[100_000, 100_999, 300_000, 300_009],
      undefined,
    ]);
    expect([100_000, 300_009, 0, 300_010].map((id) => insideId(ranges, id))).toEqual([0, 1009, nobody, nobody]);
  });

  test("is read as the kernel writes it", () => {
    expect(parseMap("         0     100000       1000\n      1000     300000         10\n")).toEqual(ranges);
  });
});

describe("a user namespace", () => {
  test("has the ids that it was given, and no process", async () => {
    const path = join(directory, "ns");
    await users.create(path, map);
    expect(parseMap((await within(path, "cat /proc/self/uid_map")).stdout)).toEqual(ranges);
    expect((await within(path, "id -u; id -g")).stdout).toBe("0\n0\n");
    await expect(users.create(path, map)).rejects.toMatchObject({ kind: "conflict" });
    users.remove(path);
    expect(existsSync(path)).toBe(false);
    users.remove(path);
  });

  test("one that the kernel refuses leaves nothing", async () => {
    const path = join(directory, "ns");
    const twice = [...ranges, { inside: 5, outside: 1, size: 1 }];
    await expect(users.create(path, { uids: twice, gids: twice })).rejects.toThrow(
      `Create a user namespace at ${path}`,
    );
    expect(existsSync(path)).toBe(false);
  });

  test("maps of processes: our own is none", () => {
    expect(users.mapOf(process.pid)).toBeUndefined();
    expect(users.same(process.pid, process.pid)).toBe(true);
    expect(() => users.mapOf(2 ** 22 + 1)).toThrow("is not running");
  });

  test("a network that belongs to it is its root's to configure", async () => {
    const [ns, path] = [join(directory, "ns"), join(directory, "net")];
    await users.create(ns, map);
    await net.createNamespace(path, ns);
    const script = `nsenter --net=${path} sh -c 'ip -o link show up; ip addr add 10.1.2.3/8 dev lo'`;
    const { stdout, code } = await processes.run(["nsenter", `--user=${ns}`, "sh", "-c", script]);
    expect([stdout, code]).toEqual([expect.stringContaining("lo:"), 0]);
    const ipv6 = await processes.run([
      ...["nsenter", `--net=${path}`, "cat", "/proc/sys/net/ipv6/conf/default/disable_ipv6"],
    ]);
    expect(ipv6.stdout.trim()).toBe("1");
    net.removeNamespace(path);
    users.remove(ns);
  });
});

describe("other owners", () => {
  test("a directory shows what belongs to the namespace's ids, and stores what its users make with these", async () => {
    const [ns, source, target] = ["ns", "source", "target"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await users.create(ns, map);
    for (const path of [source, target]) mkdirSync(path);
    writeFileSync(join(source, "file"), "x");
    chownSync(join(source, "file"), 5, 1001);
    mounts.bindMapped(source, target, { userNamespace: ns });
    const shown = statSync(join(target, "file"));
    expect([shown.uid, shown.gid]).toEqual([100_005, 300_001]);
    expect((await within(ns, `cd ${target} && echo y > new && chown 7:8 new`)).stderr).toBe("");
    const stored = statSync(join(source, "new"));
    expect([stored.uid, stored.gid, readFileSync(join(source, "new"), "utf8")]).toEqual([7, 8, "y\n"]);
  });

  test("a file system that cannot says so", async () => {
    const ns = join(directory, "ns");
    await users.create(ns, map);
    mkdirSync(join(directory, "at"));
    expect(() => mounts.bindMapped("/proc", join(directory, "at"), { userNamespace: ns })).toThrow(
      "its file system cannot do that",
    );
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { call } from "../support/api.ts";
import { cli, type Engine, firstLine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

const files = mkdtempSync(join(tmpdir(), "berth-isolation-"));
afterAll(() => rmSync(files, { recursive: true, force: true }));

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const shIn = (on: Engine, script: string, flags: readonly string[]) =>
  on.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);
const sh = (script: string, ...flags: string[]) => shIn(engine, script, flags);
/** What docker's command line says when the engine refuses. */
async function refused(...flags: string[]): Promise<string> {
  const { code, stderr } = await engine.docker("run", "--rm", ...flags, "busybox", "true");
  expect([125, 127]).toContain(code); // 127 where something is not found, as docker has it
  return stderr;
}

describe("users and groups", () => {
  test("in every form", async () => {
    const id = (...flags: string[]) => sh("echo $(id -u):$(id -g) $(id -G)", ...flags);
    expect(await id("-u", "alice")).toBe("1000:1000 1000 10");
    expect(await id("-u", "alice:wheel")).toBe("1000:10 10");
    expect(await id("-u", "4711:815")).toBe("4711:815 815");
    expect(await id("-u", ":10")).toBe("0:10 10");
    expect(await id("-u", "2147483647")).toBe("2147483647:0 0");
    expect(await id("-u", "alice", "--group-add", "wheel", "--group-add", "77")).toBe("1000:1000 1000 10 77");
  });

  test("who is not there, and numbers that are none", async () => {
    expect(await refused("-u", "nobody")).toContain("unable to find user nobody: no matching entries in passwd file");
    expect(await refused("-u", "alice:none")).toContain("unable to find group none: no matching entries in group file");
    expect(await refused("--group-add", "none")).toContain("unable to find group none");
    for (const user of ["2147483648", "-1", "0:2147483648", "99999999999999999999"]) {
      expect([user, await refused("-u", user)]).toEqual([
        user,
        expect.stringContaining("must be in range 0-2147483647"),
      ]);
    }
  });
});

describe("namespaces", () => {
  const inode = (kind: string) => `readlink /proc/self/ns/${kind}`;

  test("ipc: none, private, shareable, another's", async () => {
    expect(await sh("ls /dev | grep -c shm; true", "--ipc", "none")).toBe("0");
    await engine.ok(
      "run",
      "-d",
      "--name",
      "donor",
      "--ipc",
      "shareable",
      "busybox",
      "sh",
      "-c",
      "echo x > /dev/shm/x; sleep 100000",
    );
    await engine.ok("run", "-d", "--name", "miser", "busybox", "sleep", "100000");
    expect(await sh("cat /dev/shm/x", "--ipc", "container:donor")).toBe("x");
    expect(await sh(inode("ipc"), "--ipc", "container:donor")).toBe(
      await engine.ok("exec", "donor", "readlink", "/proc/self/ns/ipc"),
    );
    expect(await refused("--ipc", "container:miser")).toContain("non-shareable IPC");
    expect(await refused("--ipc", "container:nobody")).toContain("No such container: nobody");
    expect(await refused("--ipc", "odd")).toContain("invalid IPC mode: odd");
  });

  test("pid: another container's", async () => {
    expect(await sh(inode("pid"), "--pid", "container:donor")).toBe(
      await engine.ok("exec", "donor", "readlink", "/proc/self/ns/pid"),
    );
    expect(await sh("ps | grep -c '[s]leep 100000'", "--pid", "container:donor")).toBe("1");
    expect(await refused("--pid", "container:nobody")).toContain("No such container: nobody");
    await engine.ok("rm", "-f", "donor", "miser");
  });

  test("names of the host", async () => {
    const host = readFileSync("/proc/sys/kernel/hostname", "utf8").trim();
    expect(await sh("hostname", "--uts", "host")).toBe(host);
    expect(await sh("hostname", "--net", "host")).toBe(host);
    expect(
      await sh("hostname; cat /etc/hostname; cat /proc/sys/kernel/domainname", "-h", "box", "--domainname", "d.e"),
    ).toBe("box\nbox\nd.e");
    expect(await sh("hostname", "--net", "host", "-h", "box")).toBe("box");
    expect(await refused("--uts", "host", "-h", "box")).toContain("conflicting options: hostname and the UTS mode");
    expect(await refused("--uts", "host", "--domainname", "d")).toContain(
      "conflicting options: domainname and the UTS mode",
    );
    expect(await refused("-h", "x".repeat(65))).toContain("is longer than 64 characters");
    expect(await refused("-h", "a\nb")).toContain("invalid hostname");
  });

  test("resolvers and hosts", async () => {
    const flags = ["--dns", "9.9.9.9", "--dns-search", "a.b", "--dns-option", "ndots:3", "--add-host", "x:1.2.3.4"];
    const text = await sh("cat /etc/resolv.conf; grep -w x /etc/hosts", ...flags, "--add-host", "me:host-gateway");
    expect(text).toBe("nameserver 9.9.9.9\nsearch a.b\noptions ndots:3\n1.2.3.4\tx");
    expect(await sh("grep -w me /etc/hosts", "--add-host", "me:host-gateway")).toMatch(/^\d+\.\d+\.\d+\.\d+\tme$/);
  });
});

describe("rights", () => {
  const status = (field: string, ...flags: string[]) => sh(`grep ^${field}: /proc/self/status`, ...flags);

  test("no-new-privileges in every spelling", async () => {
    for (const [option, set] of [
      ["no-new-privileges", 1],
      ["no-new-privileges:true", 1],
      ["no-new-privileges=1", 1],
      ["no-new-privileges=false", 0],
    ] as const) {
      expect([option, await status("NoNewPrivs", "--security-opt", option)]).toEqual([option, `NoNewPrivs:\t${set}`]);
    }
    expect(await refused("--security-opt", "no-new-privileges=x")).toContain(
      'invalid --security-opt 2: "no-new-privileges=x"',
    );
  });

  test("capabilities of users who are not root, and exceptions", async () => {
    const all = await status("CapBnd", "--cap-add", "ALL", "--cap-drop", "MKNOD");
    expect(BigInt(`0x${all.split("\t")[1]}`) & (1n << 27n)).toBe(0n);
    const user = await sh("grep ^Cap /proc/self/status", "-u", "1000", "--cap-add", "NET_ADMIN");
    expect(user).toContain("CapEff:\t0000000000000000");
    expect(user).toContain("CapAmb:\t0000000000000000");
    expect(user).toContain("CapBnd:\t00000000a80435fb");
  });

  test("exec --privileged in a container that is not", async () => {
    await engine.ok("run", "-d", "--name", "plain", "busybox", "sleep", "100000");
    const bits = async (...flags: string[]) =>
      (await engine.ok("exec", ...flags, "plain", "grep", "CapEff", "/proc/self/status")).split("\t")[1];
    expect(await bits()).toBe("00000000a80425fb");
    expect(await bits("--privileged")).toBe(/CapEff:\t(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
    expect(await bits("-u", "1000")).toBe("0000000000000000");
    await engine.ok("rm", "-f", "plain");
  });

  test("a seccomp profile of the user's own", async () => {
    const profile = join(files, "no-mkdir.json");
    const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 13 }];
    writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
    expect(await sh("mkdir /x 2>&1; true", "--security-opt", `seccomp=${profile}`)).toContain("Permission denied");
    expect(await status("Seccomp", "--security-opt", "seccomp=builtin")).toBe("Seccomp:\t2");
    writeFileSync(profile, '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":5}');
    expect(await refused("--security-opt", `seccomp=${profile}`)).toContain(
      "Decoding seccomp profile failed: syscalls is no list",
    );
  });

  test("labels and profiles of security modules that the host does not have", async () => {
    expect(await sh("echo in", "--security-opt", "label=disable", "--security-opt", "label=type:foo_t")).toBe("in");
    expect(await sh("echo in", "--security-opt", "apparmor=unconfined")).toBe("in");
    if (existsSync("/sys/module/apparmor")) return;
    const { stdout, stderr } = await engine.docker(
      "run",
      "--rm",
      "--security-opt",
      "apparmor=mine",
      "busybox",
      "echo",
      "in",
    );
    expect([stdout, stderr]).toEqual([
      "in\n",
      expect.stringContaining("AppArmor is not enabled on this host: the profile mine has no effect"),
    ]);
  });

  test("systempaths=unconfined, and cgroups that can be written to", async () => {
    expect(
      await sh(
        "test -w /proc/sys/kernel/domainname && head -c1 /proc/timer_list | wc -c",
        "--security-opt",
        "systempaths=unconfined",
      ),
    ).toBe("1");
    const mode = "awk '$3 ~ /^cgroup/ { print substr($4, 1, 2); exit }' /proc/self/mounts";
    expect(await sh(mode)).toBe("ro");
    expect(await sh(mode, "--security-opt", "writable-cgroups=false")).toBe("ro");
    expect(await sh(mode, "--security-opt", "writable-cgroups=true")).toBe("rw");
    expect(await refused("--security-opt", "writable-cgroups=maybe")).toContain(
      'invalid --security-opt 2: "writable-cgroups=maybe"',
    );
  });
});

describe("devices", () => {
  test("a directory of devices, and rules for those that are made later", async () => {
    const directory = readdirSync("/dev", { withFileTypes: true }).find(
      (entry) =>
        entry.isDirectory() &&
        readdirSync(join("/dev", entry.name)).length > 0 &&
        ["net", "input", "vfio", "dri"].includes(entry.name),
    );
    if (directory) {
      const inside = (await sh(`ls /dev/${directory.name}`, "--device", `/dev/${directory.name}`)).split("\n");
      expect(inside.length).toBeGreaterThan(0);
    }
    const make = "mknod /tmp/tun c 10 200 && { true 3<>/tmp/tun; } 2>&1 && echo opened; true";
    expect(await sh(make)).toContain("Operation not permitted");
    expect(await sh(make, "--device-cgroup-rule", "c 10:200 rw")).toBe("opened");
    expect(await sh("ls -l /dev/../dev/z | grep -c '1, *5'", "--device", "/dev/zero:/dev/z")).toBe("1");
  });

  test("what is no device, in docker's words", async () => {
    expect(await refused("--device", "/dev/nothing")).toContain(
      'custom device "/dev/nothing": no such file or directory',
    );
    expect(await refused("--device", "/etc/passwd")).toContain('custom device "/etc/passwd": not a device node');
    expect(await refused("--gpus", "all")).toContain('could not select device driver "" with capabilities: [[gpu]]');
    for (const device of ["x", "/dev/null:q:q:q", "/dev/null:/x:q"]) {
      const argv = ["run", "--rm", "--device", device, "busybox", "true"];
      const [theirs, ours] = [await engine.docker(...argv), await engine.berth(...argv)];
      expect([ours.code, firstLine(ours.stderr, "berth")]).toEqual([theirs.code, firstLine(theirs.stderr, "docker")]);
    }
  });

  test("sizes of a layer, and other systems' isolation, are refused", async () => {
    expect(await refused("--storage-opt", "size=1g")).toContain("--storage-opt is supported only for overlay over xfs");
    expect(await refused("--isolation", "hyperv")).toContain(
      "invalid isolation 'hyperv' on linux: only 'default' is supported",
    );
  });
});

test("annotations get to the OCI runtime", async () => {
  const id = await engine.ok("run", "-d", "--annotation", "org.example.a=b=c", "busybox", "sleep", "100000");
  const bundles = join(engine.directory, "exec/bundles");
  const bundle = readdirSync(bundles).find((name) => id.startsWith(name) || name.startsWith(id)) ?? "";
  const spec = JSON.parse(readFileSync(join(bundles, bundle, "config.json"), "utf8"));
  expect(spec.annotations).toMatchObject({ "org.example.a": "b=c" });
  expect((await call(engine, `GET /containers/${id}/json`)).json.HostConfig.Annotations).toEqual({
    "org.example.a": "b=c",
  });
  await engine.ok("rm", "-f", id);
});

test("sysctls: those of a namespace only", async () => {
  const both = ["--sysctl", "net.ipv4.ip_forward=0", "--sysctl", "kernel.msgmax=4242"];
  expect(await sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax", ...both)).toBe("0\n4242");
  expect(await refused("--sysctl", "kernel.msgmax=1", "--ipc", "host")).toContain(
    "not allowed in the hosts ipc namespace",
  );
  expect(await refused("--sysctl", "net.ipv4.ip_forward=1", "--net", "host")).toContain(
    "not allowed with host network",
  );
  const { json } = await call(engine, "POST /containers/create", {
    Image: "busybox",
    HostConfig: { Sysctls: { "kernel.panic": "1" } },
  });
  expect(json.message).toContain('sysctl "kernel.panic" is not in a separate kernel namespace');
});

describe("a daemon's own defaults", () => {
  let own: Engine;
  beforeAll(async () => {
    const profile = join(files, "profile.json");
    const syscalls = [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 13 }];
    writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
    own = await startEngine([
      ...["--default-ulimit", "core=3:4", "--default-shm-size", "2m", "--default-ipc-mode", "shareable"],
      ...["--default-cgroupns-mode", "private", "--no-new-privileges", "--seccomp-profile", profile],
      ...["--dns", "9.9.9.9", "--dns-search", "own.test", "--dns-opt", "ndots:2", "--host-gateway-ip", "10.1.2.3"],
    ]);
    await importBusybox(own);
  });
  afterAll(() => own[Symbol.asyncDispose]());
  const of = (script: string, ...flags: string[]) => shIn(own, script, flags);

  test("hold for containers that say nothing", async () => {
    expect(await of("ulimit -Sc; ulimit -Hc")).toMatch(/^\d+\n\d+$/);
    expect(await of("grep core /proc/self/limits")).toMatch(/ 3 +4 /);
    expect(await of("df -k /dev/shm | tail -1")).toContain(" 2048 ");
    expect(await of("grep NoNewPrivs /proc/self/status")).toBe("NoNewPrivs:\t1");
    expect(await of("mkdir /x 2>&1; true")).toContain("Permission denied");
    expect(await of("cat /etc/resolv.conf")).toBe("nameserver 9.9.9.9\nsearch own.test\noptions ndots:2");
    expect(await of("grep -w me /etc/hosts", "--add-host", "me:host-gateway")).toBe("10.1.2.3\tme");
    const dockerfile = { stdin: "FROM busybox\nRUN grep -w me /etc/hosts; cat /etc/resolv.conf\n" };
    const built = await cli("docker", own.host, ["build", "--add-host", "me:host-gateway", "-"], dockerfile);
    expect(built.stdout).toMatch(/10\.1\.2\.3\tme\n(.*\n)*nameserver 9\.9\.9\.9\n/);
    expect((await of("cat /proc/self/cgroup")).split("\n").every((line) => line.endsWith(":/"))).toBe(true);
    const { json } = await call(own, "POST /containers/create", { Image: "busybox" });
    expect((await call(own, `GET /containers/${json.Id}/json`)).json.HostConfig).toMatchObject({
      ...{ IpcMode: "shareable", CgroupnsMode: "private", ShmSize: 2 << 20 },
      Ulimits: [{ Name: "core", Soft: 3, Hard: 4 }],
    });
    await own.ok("rm", json.Id);
  });

  test("and not for those that do", async () => {
    expect(await of("grep core /proc/self/limits", "--ulimit", "core=1")).toMatch(/ 1 +1 /);
    expect(await of("df -k /dev/shm | tail -1", "--shm-size", "1m")).toContain(" 1024 ");
    expect(await of("grep NoNewPrivs /proc/self/status", "--security-opt", "no-new-privileges=false")).toBe(
      "NoNewPrivs:\t0",
    );
    expect(await of("mkdir /x && echo made", "--security-opt", "seccomp=builtin")).toBe("made");
    expect(await of("cat /etc/resolv.conf", "--dns", "1.1.1.1", "--dns-search", "x.y", "--dns-opt", "rotate")).toBe(
      "nameserver 1.1.1.1\nsearch x.y\noptions rotate",
    );
  });

  test("info shows what it was started with", async () => {
    const { json } = await call(own, "GET /info");
    expect(json.SecurityOptions).toContain("name=seccomp,profile=custom");
    expect(json.SecurityOptions).toContain("name=no-new-privileges");
  });

  test("the configuration file has them under dockerd's names", async () => {
    const config = join(files, "daemon.json");
    const core = { Name: "core", Soft: 5, Hard: 6 };
    writeFileSync(
      config,
      JSON.stringify({ "default-runtime": "runc", init: true, "default-ulimits": { core }, dns: ["1.2.3.4"] }),
    );
    await using other = await startEngine(["--config-file", config]);
    await importBusybox(other);
    expect((await call(other, "GET /info")).json.DefaultRuntime).toBe("runc");
    const script = "tr '\\0' ' ' < /proc/1/cmdline; grep core /proc/self/limits; cat /etc/resolv.conf";
    const text = await shIn(other, script, []);
    expect(text).toMatch(/^\/sbin\/docker-init -- sh -c .* 5 +6 /);
    expect(text).toContain("nameserver 1.2.3.4");
    expect(await shIn(other, script, ["--init=false"])).toMatch(/^sh -c /);
  });
});

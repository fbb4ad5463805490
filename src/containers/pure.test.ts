import { expect, jest, test } from "bun:test";
import { createCgroups } from "../host/mod.ts";
import type { HostLimits, TaskStreams } from "../runtime/mod.ts";
import { parseBind } from "./bind.ts";
import { mountPlaces, withoutMounts } from "./changes.ts";
import { nanos } from "./clock.ts";
import { argvOf, mergeConfig } from "./config.ts";
import { environment } from "./env.ts";
import { type Chunk, Hub } from "./hub.ts";
import { planMounts } from "./mount-plan.ts";
import { checkName } from "./names.ts";
import { wantedPorts } from "./network.ts";
import { shouldRestart } from "./retry.ts";
import { parseSecurity } from "./security.ts";
import { signalNumber } from "./signals.ts";
import type { Row } from "./table.ts";
import { emptyConfig, emptyHostConfig } from "./testing/bodies.ts";
import { parsePs } from "./top.ts";
import { phases, steps, transition } from "./transition.ts";
import { validate } from "./validate.ts";
import { Waiters } from "./wait/waiters.ts";

const who = { id: "c1", name: "n1" };

test("transition: a step leads to one phase or is refused; the engine's own steps never surprise", () => {
  expect(transition("created", "start", who)).toBe("running");
  expect(transition("running", "exited", who)).toBe("exited");
  expect(transition("exited", "retry", who)).toBe("restarting");
  expect(() => transition("running", "start", who)).toThrow(expect.objectContaining({ kind: "not-modified" }));
  expect(() => transition("paused", "remove", who)).toThrow("container is paused and must be unpaused first");
  expect(() => transition("created", "retry", who)).toThrow(expect.objectContaining({ kind: "internal" }));
  const asked = steps.filter((step) => !["prepared", "exited", "retry", "commit", "attach"].includes(step));
  for (const phase of phases)
    for (const step of asked) {
      try {
        expect(phases).toContain(transition(phase, step, who));
      } catch (err) {
        expect(["conflict", "not-modified", "not-found"]).toContain((err as { kind: string }).kind);
      }
    }
});

test("configuration: entry point and command", () => {
  const image = { Entrypoint: ["/e"], Cmd: ["c"] };
  const argv = (user: object) => argvOf(mergeConfig({ ...emptyConfig, ...user }, image));
  expect(argv({})).toEqual(["/e", "c"]);
  expect(argv({ Cmd: ["x"] })).toEqual(["/e", "x"]);
  expect(argv({ Entrypoint: ["/o"] })).toEqual(["/o"]);
  expect(argv({ Entrypoint: [""], Cmd: ["sh"] })).toEqual(["sh"]);
  expect(() => mergeConfig(emptyConfig, {})).toThrow("no command specified");
});

test("configuration: lists add up, a health check inherits what it leaves out", () => {
  const merged = mergeConfig(
    { ...emptyConfig, Cmd: ["x"], Env: ["A=2"], Volumes: { "/b": {} }, Healthcheck: { Retries: 5 } },
    {
      Env: ["A=1", "B=1"],
      Volumes: { "/a": {} },
      User: "u",
      StopSignal: "INT",
      Healthcheck: { Test: ["CMD", "t"], Retries: 1 },
    },
  );
  expect(merged).toMatchObject({ Env: ["A=2", "B=1"], Volumes: { "/a": {}, "/b": {} }, User: "u", StopSignal: "INT" });
  expect(merged.Healthcheck).toEqual({ Test: ["CMD", "t"], Retries: 5 });
});

test("environment: defaults first, an entry without a value takes away", () => {
  const input = { config: { Env: ["A=1", "PATH=/x"], Tty: true }, hostname: "h", home: "/root" };
  expect(environment(input)).toEqual(["PATH=/x", "HOSTNAME=h", "TERM=xterm", "A=1", "HOME=/root"]);
  expect(environment({ ...input, extra: ["A", "HOME=/mine"], tty: false })).toEqual([
    "PATH=/x",
    "HOSTNAME=h",
    "HOME=/mine",
  ]);
});

test("-v: bind, volume, anonymous, options", () => {
  expect(parseBind("/a:/b:ro,z")).toEqual({
    source: "/a",
    destination: "/b",
    mode: "ro,z",
    readOnly: true,
    noCopy: false,
  });
  expect(parseBind("name:/b:nocopy")).toMatchObject({ source: "name", noCopy: true });
  expect(parseBind("/anon")).toEqual({ destination: "/anon", mode: "", readOnly: false, noCopy: false });
  expect(parseBind("/a:/b:rshared").propagation).toBe("rshared");
  for (const bad of ["", "a:b:c:d", ":/b"]) {
    expect(() => parseBind(bad)).toThrow(`invalid volume specification: '${bad}'`);
  }
  for (const mode of ["ro,rw", "nope", "shared,slave", "z,Z", "ro,ro"]) {
    expect(() => parseBind(`/a:/b:${mode}`)).toThrow(`invalid mode: ${mode}`);
  }
});

test("mounts: what wins at the same destination, and what is refused", () => {
  const plan = (host: object, volumes = {}) =>
    planMounts({ hostConfig: { ...emptyHostConfig, ...host }, volumes, inherited: [] });
  const [bound] = plan({ Binds: ["/src:/data"] }, { "/data/": {} });
  expect(bound).toMatchObject({ type: "bind", source: "/src", destination: "/data", anonymous: false });
  expect(plan({}, { "/data": {} })).toMatchObject([
    { type: "volume", anonymous: true, name: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
  expect(() => plan({ Binds: ["/a:/x", "/b:/x"] })).toThrow("Duplicate mount point: /x");
  expect(() => plan({ Binds: ["/a:/"] })).toThrow("destination can't be '/'");
  expect(() => plan({ Mounts: [{ Type: "bind", Source: "rel", Target: "/x" }] })).toThrow(
    "mount path must be absolute",
  );
  expect(() => plan({ Mounts: [{ Type: "nope", Target: "/x" }] })).toThrow("mount type unknown");
  expect(() => plan({ Mounts: [{ Type: "image", Target: "/x" }] })).toThrow(
    'invalid mount config for type "image": field Source must not be empty',
  );
  expect(() => plan({ Tmpfs: { "/t": "size=1m,upperdir=/etc" } })).toThrow('invalid tmpfs option ["upperdir" "/etc"]');
  expect(
    plan({ Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 5, Mode: 0o700 } }] }),
  ).toMatchObject([{ type: "tmpfs", tmpfs: ["size=5", "mode=700"] }]);
});

test("signals, names, security options, instants", () => {
  expect(["KILL", "SIGTERM", "9", "RTMIN+3", "rtmax-1"].map(signalNumber)).toEqual([9, 15, 9, 37, 63]);
  for (const bad of ["0", "NO", "RTMIN-1"]) expect(() => signalNumber(bad)).toThrow(`invalid signal: ${bad}`);
  expect(() => signalNumber("65")).toThrow("the linux daemon does not support signal 65");
  expect(checkName("/a.b-c")).toBe("a.b-c");
  expect(() => checkName("x")).toThrow("Invalid container name (x)");
  const security = (...SecurityOpt: string[]) => parseSecurity({ SecurityOpt, Privileged: false });
  expect(security("no-new-privileges", "seccomp=unconfined")).toEqual({ seccomp: "unconfined", noNewPrivileges: true });
  expect(security('seccomp={"defaultAction":"SCMP_ACT_ALLOW"}').seccomp).toEqual({ defaultAction: "SCMP_ACT_ALLOW" });
  expect(() => security("seccomp=/etc/passwd")).toThrow("not valid JSON");
  expect(() => security("nope=1")).toThrow("invalid --security-opt");
  expect(nanos("1970-01-01T00:00:01.000000002Z")).toBe(1_000_000_002n);
  expect(nanos("1970-01-01T01:00:00+01:00")).toBe(0n);
});

test("ports: bindings, and with -P what is exposed", () => {
  const row = {
    config: { ...emptyConfig, ExposedPorts: { "80/tcp": {}, "53/udp": {} } },
    hostConfig: { ...emptyHostConfig, PortBindings: { "80": [{ HostIp: "", HostPort: "8080" }], "90/tcp": null } },
  };
  expect(wantedPorts(row)).toEqual({ "80/tcp": [{ HostIp: "", HostPort: "8080" }] });
  const all = { ...row, hostConfig: { ...row.hostConfig, PublishAllPorts: true } };
  expect(Object.keys(wantedPorts(all))).toEqual(["80/tcp", "53/udp"]);
});

const limits: HostLimits = {
  ...{ capabilities: new Set(["CAP_SYS_ADMIN"]), rlimits: new Map([["RLIMIT_NOFILE", 20_000]]), oomScoreAdj: 0 },
  ...{ cgroupVersion: "hybrid", apparmor: false, selinux: false, runtime: "crun", kernel: "6.18", machine: "x64" },
  controls: { ...createCgroups("/nonexistent").controls, memory: true, cpuQuota: true },
};

test("validation names what is wrong and what is not there", () => {
  const check = (host: object, config: object = {}) =>
    validate(
      { config: { ...emptyConfig, ...config }, hostConfig: { ...emptyHostConfig, ...host }, endpoints: {} },
      limits,
    ).warnings;
  const bad: [object, string][] = [
    [{ Memory: 1024 }, "Minimum memory limit allowed is 6MB"],
    [{ MemorySwap: 1 << 30 }, "You should always set the Memory limit"],
    [{ NanoCpus: 1e15 }, "Range of CPUs is from 0.01"],
    [{ RestartPolicy: { Name: "sometimes" } }, "unknown policy 'sometimes'"],
    [{ RestartPolicy: { Name: "always" }, AutoRemove: true }, "can't create 'AutoRemove' container"],
    [{ CapAdd: ["NOPE"] }, 'unknown capability: "CAP_NOPE"'],
    [{ PortBindings: { "99999/tcp": [] } }, "invalid port specification"],
    [{ PortBindings: { "80/tcp": [{ HostIp: "x", HostPort: "" }] } }, "invalid IP address: x"],
    [{ ExtraHosts: ["nothing"] }, "bad format for add-host"],
    [{ Links: ["a:b"], NetworkMode: "host" }, "host type networking can't be used with links"],
    [{ Links: ["a:b"], NetworkMode: "container:x" }, "container type network can't be used with links"],
    [{ Links: ["a:b:c"], NetworkMode: "bridge" }, "bad format for links: a:b:c"],
    [{ Sysctls: { "kernel.panic": "1" } }, "not in a separate kernel namespace"],
    [{ Ulimits: [{ Name: "nofile", Soft: 5, Hard: 1 }] }, "ulimit soft limit must be less"],
    [{ PidMode: "odd" }, "invalid PID mode: odd"],
    [{ NetworkMode: "container:x", PublishAllPorts: true }, "conflicting options: port publishing"],
  ];
  for (const [host, message] of bad) expect(() => check(host)).toThrow(message);
  expect(() => check({}, { WorkingDir: "rel" })).toThrow("it needs to be an absolute path");
  expect(() => check({}, { Env: ["=x"] })).toThrow("invalid environment variable: =x");
  expect(check({})).toEqual([]);
  expect(check({ NetworkMode: "host", PortBindings: { "80/tcp": [] } })).toEqual([
    "Published ports are discarded when using host network mode",
  ]);
  const asked = {
    Privileged: true,
    Ulimits: [{ Name: "nofile", Soft: 1, Hard: 1 << 20 }],
    OomScoreAdj: -5,
    BlkioWeight: 10,
  };
  const words = [/without swap/, /Weight discarded/, /CAP_SYS_RESOURCE/, /nofile is lowered to 20000/, /raised to 0/];
  expect(check({ ...asked, Memory: 1 << 30 })).toEqual(words.map((word) => expect.stringMatching(word)));
});

test("restart policies", () => {
  const row = (Name: string, over: object = {}) =>
    ({
      hostConfig: { RestartPolicy: { Name, MaximumRetryCount: 2 } },
      restartCount: 0,
      stoppedByUser: false,
      chosenPorts: {},
      ...over,
    }) as Row;
  expect(shouldRestart(row("no"), 1)).toBe(false);
  expect(shouldRestart(row("always"), 0)).toBe(true);
  expect(shouldRestart(row("always", { stoppedByUser: true }), 0)).toBe(false);
  expect([0, 1].map((code) => shouldRestart(row("on-failure"), code))).toEqual([false, true]);
  expect(shouldRestart(row("on-failure", { restartCount: 2 }), 1)).toBe(false);
});

test("diff leaves out the engine's mount points and the directories that changed for them alone", () => {
  const change = (path: string, kind: "modified" | "added") => ({ path, kind });
  const places = mountPlaces({ mounts: [] });
  const etc = [change("/etc", "modified"), change("/etc/hosts", "added")];
  expect(withoutMounts(etc, places)).toEqual([]);
  const more = [...etc, change("/etc/x", "added"), change("/tmp", "modified"), change("/tmp/y", "added")];
  expect(withoutMounts(more, places).map(({ path }) => path)).toEqual(["/etc", "/etc/x", "/tmp", "/tmp/y"]);
});

test("ps output: the last column keeps its spaces", () => {
  const output = "UID PID CMD\nroot 5 sleep 10\nroot 6 other\n";
  expect(parsePs(output, new Set([5]))).toEqual({
    Titles: ["UID", "PID", "CMD"],
    Processes: [["root", "5", "sleep 10"]],
  });
  const threads = "PID COMMAND\n5 sh\n- -\n6 other\n- -\n";
  expect(parsePs(threads, new Set([5])).Processes).toEqual([
    ["5", "sh"],
    ["-", "-"],
  ]);
  expect(() => parsePs("A B\n", new Set())).toThrow("Couldn't find PID field");
});

test("waiters: an exit, a removal, an abort", async () => {
  const waiters = new Waiters();
  const exit = waiters.next("a");
  const removed = waiters.next("a", { removedOnly: true });
  waiters.tell("a", { kind: "exit", code: 3 });
  expect(await exit).toEqual({ kind: "exit", code: 3 });
  waiters.tell("a", { kind: "removed", code: 3 });
  expect((await removed).kind).toBe("removed");
  await expect(waiters.next("a", { signal: AbortSignal.abort() })).rejects.toMatchObject({ kind: "canceled" });
});

/** Streams that give `count` chunks of 64 KiB and say how many were taken. */
function chunky(count: number): TaskStreams & { taken: number } {
  const streams = {
    taken: 0,
    output: chunks(),
    write: async () => undefined,
    closeStdin: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
  async function* chunks(): AsyncGenerator<Chunk> {
    for (; streams.taken < count; streams.taken++) yield { stream: "stdout", bytes: new Uint8Array(65536) };
  }
  return streams;
}

test("hub: drained without readers, held by a slow one, everything arrives", async () => {
  const alone = new Hub();
  const fast = chunky(1000);
  alone.bind(fast);
  await alone.flushed(60_000);
  expect(fast.taken).toBe(1000);

  const hub = new Hub();
  const reader = hub.join(new Set(["stdout"]));
  const streams = chunky(1000);
  hub.bind(streams);
  for (let turn = 0; turn < 5000; turn++) await Promise.resolve();
  expect(streams.taken).toBeLessThan(40); // 1 MiB waits for the reader, the rest for it to read
  let bytes = 0;
  for (let batch = await reader.take(); batch; batch = await reader.take()) {
    for (const chunk of batch) bytes += chunk.bytes.length;
  }
  expect(bytes).toBe(1000 * 65536);
});

test("hub: a reader that leaves holds nobody up", async () => {
  const hub = new Hub();
  const reader = hub.join(new Set(["stdout"]));
  const streams = chunky(500);
  hub.bind(streams);
  for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
  reader.leave();
  await hub.flushed(60_000);
  expect(streams.taken).toBe(500);
});

test("hub: a reader that comes late is not held up for good by one that takes nothing", async () => {
  jest.useFakeTimers();
  try {
    const hub = new Hub();
    const stuck = hub.join(new Set(["stdout"]));
    const streams = chunky(100);
    hub.bind(streams);
    for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
    expect(stuck.taken).toBe(0);
    const late = hub.join(new Set(["stdout"]));
    jest.advanceTimersByTime(10_001); // the patience that began before it came
    for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
    let bytes = 0;
    for (let batch = await late.take(); batch; batch = await late.take()) {
      for (const chunk of batch) bytes += chunk.bytes.length;
    }
    expect(bytes).toBeGreaterThan(80 * 65536);
  } finally {
    jest.useRealTimers();
  }
});

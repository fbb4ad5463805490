import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { busyboxRootfs, importBusybox, ociLayout, plainLayer } from "../support/images.ts";

/** Whatever is asked for, another container goes on, the daemon answers, and nothing is written outside a root. */
let engine: Engine;
let bystander: number;
const outside = "/tmp/berth-hostile-escape";
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  await engine.ok("run", "-d", "--name", "bystander", "busybox", "sleep", "100000");
  bystander = Number(await engine.ok("inspect", "-f", "{{.State.Pid}}", "bystander"));
});
afterAll(() => engine[Symbol.asyncDispose]());
afterEach(async () => {
  expect(await engine.ok("inspect", "-f", "{{.State.Pid}}", "bystander")).toBe(String(bystander));
  expect(await engine.ok("exec", "bystander", "echo", "well")).toBe("well");
  expect(await engine.ok("ps", "-aq")).not.toContain("\n");
  expect([existsSync(outside), existsSync(`${outside}-device`)]).toEqual([false, false]);
});

const megabyte = "x".repeat(1 << 20);
const dots = "/../../../../../../../../../../..";

interface Outcome {
  readonly created: number;
  readonly started?: number;
  readonly code?: number;
  /** What an answer said, or what is in the log. */
  readonly text: string;
}

/** Creates, starts, waits and removes: every one of them must be answered. */
async function attempt(body: unknown): Promise<Outcome> {
  const created = await call(engine, "POST /containers/create", body);
  if (created.status !== 201) return { created: created.status, text: created.json.message };
  const id = created.json.Id;
  const started = await call(engine, `POST /containers/${id}/start`);
  const begun = { created: 201, started: started.status };
  const outcome = started.status === 204 ? { ...begun, ...(await end(id)) } : { ...begun, text: started.json.message };
  expect((await call(engine, `GET /containers/${id}/json`)).status).toBe(200);
  expect((await call(engine, `DELETE /containers/${id}?force=1&v=1`)).status).toBe(204);
  return outcome;
}

async function end(id: string): Promise<Pick<Outcome, "code" | "text">> {
  const { json } = await call(engine, `POST /containers/${id}/wait`);
  const logs = await call(engine, `GET /containers/${id}/logs?stdout=1&stderr=1`);
  return { code: json.StatusCode, text: logs.text };
}

const ran = (config: object, HostConfig: object = {}) =>
  attempt({ Image: "busybox", Cmd: ["echo", "ran"], ...config, HostConfig });
const well = { created: 201, started: 204, code: 0, text: expect.stringContaining("ran") };
const refusal = (why: string | RegExp) => ({ created: 400, text: expect.stringMatching(new RegExp(why)) });
const failure = (status: number, why: string | RegExp) => ({
  ...{ created: 201, started: status },
  text: expect.stringMatching(new RegExp(why)),
});

describe("NUL bytes are refused by the field's name", () => {
  const bad: [string, object, object][] = [
    ["User", { User: "root\0x" }, {}],
    ["Labels", { Labels: { "a\0b": "c" } }, {}],
    ["Domainname", { Domainname: "a\0b" }, {}],
    ["WorkingDir", { WorkingDir: "/a\0b" }, {}],
    ["Binds", {}, { Binds: ["/tmp:/a\0b"] }],
    ["Annotations", {}, { Annotations: { a: "\0" } }],
    ["Sysctls", {}, { Sysctls: { "net.ipv4.ip_forward": "1\0" } }],
    ["CgroupParent", {}, { CgroupParent: "/a\0" }],
    ["Devices", {}, { Devices: [{ PathOnHost: "/dev/null\0x", PathInContainer: "/dev/x", CgroupPermissions: "r" }] }],
    ["ExtraHosts", {}, { ExtraHosts: ["a\0:1.2.3.4"] }],
    ["MaskedPaths", {}, { MaskedPaths: ["/a\0"] }],
  ];
  test.each(bad)("%s", async (field, config, host) => {
    expect(await ran(config, host)).toEqual(refusal(`^${field} must not hold a NUL byte$`));
  });

  test("of an exec, too", async () => {
    const answer = await call(engine, "POST /containers/bystander/exec", { Cmd: ["true"], Env: ["A=\0"] });
    expect([answer.status, answer.json.message]).toEqual([400, "Env must not hold a NUL byte"]);
  });
});

describe("texts of a megabyte", () => {
  test("are harmless where nothing limits them", async () => {
    expect(await ran({ Labels: { [megabyte]: megabyte } })).toEqual(well);
    expect(await ran({}, { Annotations: { a: megabyte } })).toEqual(well);
  });

  test("are refused readably where something does", async () => {
    expect(await ran({ User: megabyte })).toEqual(failure(400, "^unable to find user x"));
    expect(await ran({ WorkingDir: `/${megabyte}` })).toEqual(
      refusal("working directory is invalid: its name is too long"),
    );
    expect(await ran({ Hostname: megabyte })).toEqual(refusal("is longer than 64 characters"));
    expect(await ran({ Domainname: megabyte })).toEqual(refusal("invalid domainname"));
    expect(await ran({ Entrypoint: [megabyte] })).toEqual(failure(500, "file name too long"));
    const long = { code: 1, text: expect.stringMatching(/argument list too long/i) };
    for (const config of [{ Env: [`A=${megabyte}`] }, { Cmd: ["echo", megabyte] }])
      expect(await ran(config)).toMatchObject({ created: 201, ...long });
    expect((await call(engine, "POST /containers/create", { Image: megabyte })).status).toBe(404);
  });

  test("in an exec", async () => {
    const { json } = await call(engine, "POST /containers/bystander/exec", {
      Cmd: ["echo", megabyte],
      AttachStdout: true,
      AttachStderr: true,
    });
    const { text } = await call(engine, `POST /exec/${json.Id}/start`, { Detach: false, Tty: false });
    const { ExitCode } = (await call(engine, `GET /exec/${json.Id}/json`)).json;
    expect([ExitCode !== 0, text]).toEqual([true, expect.stringMatching(/argument list too long/i)]);
  });
});

test("many things at once", async () => {
  const many = <T>(count: number, make: (index: number) => T) =>
    Array.from({ length: count }, (_, index) => make(index));
  // A hundred thousand work as well, but a C library takes a minute to put them into its environment.
  expect(await ran({ Env: many(10_000, (index) => `V${index}=${index}`) })).toEqual(well);
  expect(await ran({}, { CapAdd: many(100_000, () => "CHOWN") })).toEqual(well);
  expect(await ran({}, { GroupAdd: many(100_000, String) })).toMatchObject({
    started: 500,
    text: expect.stringMatching("setgroups"),
  });
  const tooMany = { Image: "busybox", Env: many(100_000, (index) => `VARIABLE_${index}=${"y".repeat(40)}`) };
  expect(await attempt(tooMany)).toEqual(refusal("request body too large"));
});

describe("paths that lead out", () => {
  test("stay in the root", async () => {
    expect(await ran({ WorkingDir: `${dots}${outside}` })).toEqual(well);
    expect(await ran({ Volumes: { "../x": {} } })).toEqual(well);
    expect(await ran({}, { Tmpfs: { [`${dots}${outside}`]: "" } })).toEqual(well);
    expect(await ran({}, { Binds: [`/tmp:${dots}${outside}`] })).toEqual(well);
    expect(await ran({}, { ReadonlyPaths: [`${dots}/tmp`], MaskedPaths: [`${dots}${outside}`] })).toEqual(well);
    expect(existsSync("/tmp")).toBe(true);
    for (const Runtime of ["crun", "runc"].filter((name) => Bun.which(name) !== null)) {
      const PathInContainer = `${dots}${outside}-device`;
      await ran({}, { Runtime, Devices: [{ PathOnHost: "/dev/null", PathInContainer, CgroupPermissions: "rwm" }] });
      expect(existsSync(`${outside}-device`)).toBe(false);
    }
  });

  test("or are refused", async () => {
    expect(await ran({ User: "../../etc/passwd" })).toEqual(failure(400, "unable to find user"));
    expect(await ran({}, { Tmpfs: { "../x": "" } })).toEqual(refusal("mount path must be absolute"));
    const device = { PathOnHost: "/dev/../etc", PathInContainer: "/dev/x", CgroupPermissions: "rwm" };
    expect(await ran({}, { Devices: [device] })).toEqual(failure(400, "not a device node"));
    const before = readFileSync("/proc/sys/kernel/hostname", "utf8");
    await ran({}, { Sysctls: { "net.x/../../kernel/hostname": "evil" } });
    expect(readFileSync("/proc/sys/kernel/hostname", "utf8")).toBe(before);
  });
});

test("control characters get into no file of lines", async () => {
  expect(await ran({ Hostname: "a\n1.2.3.4 b" })).toEqual(refusal("invalid hostname"));
  expect(await ran({}, { DnsSearch: ["a\nnameserver 6.6.6.6"] })).toEqual(
    refusal("invalid DNS search domain or option"),
  );
  expect(await ran({}, { DnsOptions: ["a b"] })).toEqual(refusal("invalid DNS search domain or option"));
  expect(await ran({}, { ExtraHosts: ["a\nb:1.2.3.4"] })).toEqual(refusal("bad format for add-host"));
  expect(await ran({ WorkingDir: "/a\nb\u001b[31m", Labels: { "\u001b[31m": "\n" } })).toEqual(well);
});

test("half of a surrogate pair", async () => {
  expect(await ran({ Env: ["A=\ud800"], Labels: { "\udfff": "\ud800" }, Cmd: ["echo", "\ud800 ran"] })).toEqual(well);
});

test("numbers beyond what a double or an int64 holds exactly", async () => {
  const raw = (host: string) => attempt(`{"Image":"busybox","Cmd":["echo","ran"],"HostConfig":{${host}}}`);
  expect(await raw('"Memory":9223372036854775807')).toEqual(well);
  expect(await raw('"Memory":9007199254740993')).toEqual(well);
  expect(await raw('"Memory":18446744073709551616')).toEqual(refusal("HostConfig.Memory must be an integer"));
  expect(await raw('"Memory":1e400')).toEqual(refusal("HostConfig.Memory must be an integer"));
  expect(await raw('"PidsLimit":1152921504606846976')).toEqual(failure(500, "pids.max"));
  expect(await raw('"CpuShares":-5')).toEqual(refusal("invalid CPU shares"));
  expect(await raw('"BlkioDeviceReadBps":[{"Path":"/dev/null","Rate":-1}]')).toEqual(
    refusal("invalid rate for device"),
  );
  expect(await raw('"Ulimits":[{"Name":"core","Soft":9223372036854775807,"Hard":9223372036854775807}]')).toEqual(well);
  expect(await raw('"ConsoleSize":[1099511627776,1099511627776]')).toEqual(well);
  const update = await call(engine, "POST /containers/bystander/update", '{"Memory":1e30}');
  expect(update.status).toBe(400);
});

describe("an image's configuration", () => {
  const layer = plainLayer(busyboxRootfs());
  async function run(config: object): Promise<Outcome> {
    const archive = ociLayout("hostile", [layer], { config: { Cmd: ["echo", "ran"], ...config } });
    expect((await call(engine, "POST /images/load", archive)).status).toBe(200);
    const outcome = await attempt({ Image: "hostile" });
    await call(engine, "DELETE /images/hostile?force=1");
    return outcome;
  }

  test("is not taken at its word", async () => {
    expect(await run({ User: "root\0x" })).toEqual(refusal("User must not hold a NUL byte"));
    expect(await run({ Env: ["A=\0"] })).toEqual(refusal("Env must not hold a NUL byte"));
    expect(await run({ Cmd: ["a\0"] })).toEqual(refusal("Cmd must not hold a NUL byte"));
    expect(await run({ WorkingDir: "relative" })).toEqual(refusal("needs to be an absolute path"));
    expect(await run({ StopSignal: "NOPE" })).toEqual(refusal("invalid signal: NOPE"));
    expect(await run({ Volumes: { "../../x": {} } })).toEqual(well);
    expect(await run({ User: "../../etc/shadow" })).toEqual(failure(400, "unable to find user"));
    expect(await run({ User: "99999999999" })).toEqual(failure(400, "must be in range 0-2147483647"));
    expect(await run({ Env: [`A=${megabyte}`] })).toMatchObject({
      code: 1,
      text: expect.stringMatching(/list too long/i),
    });
  });

  test("or does no harm", async () => {
    expect(await run({ WorkingDir: `${dots}${outside}` })).toEqual(well);
    expect(await run({ Volumes: { [`${dots}${outside}`]: {} } })).toEqual(well);
    expect(await run({ Entrypoint: [`${dots}/bin/echo`, "ran"], Cmd: null })).toEqual(well);
    expect(await run({ Env: ["=x", "", "NONE", "LD_PRELOAD=/x"] })).toEqual(well);
    expect(await run({ Labels: { "\ud800": "\u001b[31m" } })).toEqual(well);
  });
});

test("seccomp profiles of odd shapes", async () => {
  const bad: [unknown, string][] = [
    [{ defaultAction: "SCMP_ACT_ALLOW", syscalls: 5 }, "syscalls is no list"],
    [{ defaultAction: "SCMP_ACT_ALLOW", syscalls: [null] }, "a rule without names or action"],
    [{ defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ action: "SCMP_ACT_ERRNO", names: "mkdir" }] }, "names is no list"],
    [{ defaultAction: "SCMP_ACT_ALLOW", archMap: 7 }, "archMap is no list"],
    [{ syscalls: [] }, "defaultAction is missing"],
  ];
  for (const [profile, why] of bad)
    expect(await ran({}, { SecurityOpt: [`seccomp=${JSON.stringify(profile)}`] })).toEqual(failure(400, why));
  expect(await ran({}, { SecurityOpt: ["seccomp=[]"] })).toEqual(refusal("not a JSON object"));
  expect(await ran({}, { DeviceRequests: [null, 5] })).toEqual(refusal("could not select device driver"));
});

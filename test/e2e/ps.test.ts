import { afterAll, beforeAll, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
let port = "";
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  await engine.ok("tag", "busybox", "other:1");
  await engine.ok("network", "create", "n1");
  await engine.docker("run", "--name", "first", "-l", "tier=back", "busybox", "sh", "-c", "exit 3");
  const published = ["-p", "127.0.0.1::80", "--expose", "81", "--network", "n1"];
  await engine.ok(
    "run",
    "-d",
    "--name",
    "web-1",
    "-l",
    "tier=front",
    "-l",
    "x",
    ...published,
    "-v",
    "data:/d",
    "busybox",
    "sleep",
    "1000",
  );
  await engine.ok("create", "--name", "last", "other:1", "true");
  port = (await engine.ok("port", "web-1", "80")).split(":").at(-1) ?? "";
});
afterAll(() => engine[Symbol.asyncDispose]());

const clis = ["docker", "berth"] as const;

async function names(which: (typeof clis)[number], ...flags: string[]): Promise<string[]> {
  const { stdout, stderr } = await engine[which]("ps", "--format", "{{.Names}}", ...flags);
  return `${stdout}${stderr}`.trim().split("\n").filter(Boolean);
}

const filters = (...all: string[]) => all.flatMap((one) => ["--filter", one]);

test.each(clis)("%s ps: what is shown, and how many", async (which) => {
  expect(await names(which)).toEqual(["web-1"]);
  expect(await names(which, "-a")).toEqual(["last", "web-1", "first"]);
  expect(await names(which, "--last", "2")).toEqual(["last", "web-1"]);
  expect(await names(which, "-n", "2", ...filters("status=exited"))).toEqual(["first"]);
  expect(await names(which, "--latest")).toEqual(["last"]);
  const full = await engine[which]("ps", "-aq", "--no-trunc");
  expect(full.stdout).toMatch(/^([0-9a-f]{64}\n){3}$/);
  const sized = await engine[which]("ps", "-as", "--format", "{{.Size}}");
  expect(sized.stdout).toMatch(/^(\d.* \(virtual [\d.]+\wB\)\n){3}$/);
});

test.each(clis)("%s ps: every filter", async (which) => {
  const found = (...all: string[]) => names(which, "-a", ...filters(...all));
  const id = await engine.ok("inspect", "-f", "{{.Id}}", "web-1");
  expect(await found("name=web")).toEqual(["web-1"]);
  expect(await found("name=^/?(web|fir)")).toEqual(["web-1", "first"]);
  expect(await found("name=(?i)LAST$")).toEqual(["last"]);
  expect(await found(`id=${id.slice(0, 6)}`)).toEqual(["web-1"]);
  expect(await found("label=tier")).toEqual(["web-1", "first"]);
  expect(await found("label=tier=front", "label=x")).toEqual(["web-1"]);
  expect(await found("exited=3")).toEqual(["first"]);
  expect(await found("exited=0")).toEqual([]);
  expect(await found("status=created", "status=running")).toEqual(["last", "web-1"]);
  expect(await found("ancestor=busybox", "name=web")).toEqual(["web-1"]);
  expect(await found("ancestor=nothing")).toEqual([]);
  expect(await found("before=web-1")).toEqual(["first"]);
  expect(await found("since=web-1")).toEqual(["last"]);
  expect(await found("volume=data")).toEqual(["web-1"]);
  expect(await found("volume=/d")).toEqual(["web-1"]);
  expect(await found("network=n1")).toEqual(["web-1"]);
  expect(await found(`publish=${port}`)).toEqual(["web-1"]);
  expect(await found(`publish=${port}/udp`)).toEqual([]);
  expect(await found("publish=80")).toEqual([]);
  expect(await found("expose=80-82/tcp")).toEqual(["web-1"]);
  expect(await found("is-task=false", "name=last")).toEqual(["last"]);
  expect(await found("is-task=true")).toEqual([]);
  expect(await found("health=none")).toEqual(["last", "web-1", "first"]);
  expect(await names(which, ...filters("exited=3"))).toEqual([]);
  expect(await names(which, ...filters("status=exited"))).toEqual(["first"]);
});

test.each([
  ["nope=x", "invalid filter 'nope'"],
  ["exited=x", "invalid filter 'exited=x'"],
  ["status=foo", "invalid filter 'status=foo'"],
  ["is-task=maybe", "invalid filter 'is-task=[maybe]'"],
  ["publish=x", 'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax'],
  ["before=nobody", "No such container: nobody"],
])("a wrong filter is refused: %s", async (filter, message) => {
  expect(await names("docker", ...filters(filter))).toEqual([`Error response from daemon: ${message}`]);
  expect(await names("berth", ...filters(filter))).toEqual([`Error response from daemon: ${message}`]);
});

test("expressions that take others for ever are answered, and nobody waits for them", async () => {
  const long = `a${"a".repeat(120)}`;
  await engine.ok("create", "--name", long, "busybox", "true");
  const evil = JSON.stringify({ name: ["(a+)+$!", "(a|a)*Z", "(.*a){25}c", "^(([a-z])+.)+[A-Z]([a-z])+$", "("] });
  const asked = Array.from({ length: 5 }, () =>
    call(engine, `GET /containers/json?all=1&filters=${encodeURIComponent(evil)}`),
  );
  for (const { status, json } of await Promise.all(asked)) expect([status, json]).toEqual([200, []]);
  const large = encodeURIComponent(JSON.stringify({ name: Array.from({ length: 50 }, () => "((a{99}){9})") }));
  expect(await call(engine, `GET /containers/json?filters=${large}`)).toMatchObject({
    status: 400,
    json: { message: "regular expressions are too large" },
  });
  await engine.ok("rm", long);
});

test.each(clis)("%s ps: every field", async (which) => {
  const fields =
    "ID Image Command CreatedAt RunningFor Ports State Status Names Labels Mounts LocalVolumes Networks".split(" ");
  const format = [...fields.map((field) => `{{.${field}}}`), '{{.Label "tier"}}'].join("|");
  const { stdout } = await engine[which]("ps", "--format", format);
  const [id, image, command, created, ago, ports, state, status, name, labels, mounts, local, networks, label] = stdout
    .trim()
    .split("|");
  expect([image, command, state, name, mounts, local, networks, label]).toEqual([
    ...["busybox", '"sleep 1000"', "running", "web-1", "data", "1", "n1", "front"],
  ]);
  expect(id).toMatch(/^[0-9a-f]{12}$/);
  expect(created).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \w+$/);
  expect(ago).toMatch(/ ago$/);
  expect(status).toMatch(/^Up /);
  expect(ports).toBe(`81/tcp, 127.0.0.1:${port}->80/tcp`);
  expect(labels?.split(",").toSorted()).toEqual(["tier=front", "x="]);
  if (isOld(which)) return;
  const json = JSON.parse((await engine[which]("ps", "--format", "json")).stdout);
  expect(json).toMatchObject({ Names: "web-1", State: "running", Networks: "n1" });
});

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterEach(async () => {
  const ids = await engine.ok("ps", "-aq");
  if (ids !== "") await engine.ok("rm", "-f", ...ids.split("\n"));
  await engine.ok("network", "prune", "-f");
});
afterAll(() => engine[Symbol.asyncDispose]());

const sleeper = (name: string, ...flags: string[]) =>
  engine.ok("run", "-d", "--name", name, ...flags, "busybox", "sleep", "100000");
const inspect = (name: string, format: string) => engine.ok("inspect", "-f", format, name);
const addressIn = (name: string, network = "bridge") =>
  inspect(name, `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`);
const remove = (...names: string[]) => engine.ok("rm", "-f", ...names);
const hosts = async (name: string) => (await engine.ok("exec", name, "cat", "/etc/hosts")).split("\n");
/** Lines of /etc/hosts about this name. */
const named = async (name: string, host: string) =>
  (await hosts(name)).filter((line) => line.split(/\s+/).slice(1).includes(host));

async function refusal(...argv: string[]): Promise<string> {
  const { code, stderr } = await engine.docker(...argv);
  expect(code).not.toBe(0);
  return stderr;
}

describe("on the default bridge", () => {
  test("--link gives names, variables, a name in ps, and is shown by inspect", async () => {
    const id = await sleeper("db", "--expose", "5432", "-e", "SECRET=s");
    const address = await addressIn("db");
    await sleeper("web", "--link", "db:store", "--link", "db", "-e", "STORE_NAME=mine");
    expect(await named("web", "store")).toEqual([`${address}\tstore ${id.slice(0, 12)} db`]);
    expect(await named("web", "db")).toContain(`${address}\tdb ${id.slice(0, 12)}`);
    const env = (await engine.ok("exec", "web", "sh", "-c", "cat /proc/1/environ | tr '\\0' '\\n'")).split("\n");
    for (const one of [`STORE_PORT=tcp://${address}:5432`, "STORE_ENV_SECRET=s", "DB_NAME=/web/db", "STORE_NAME=mine"])
      expect(env).toContain(one);
    expect(await engine.ok("exec", "web", "sh", "-c", "echo $DB_PORT_5432_TCP_ADDR")).toBe(address);
    expect(JSON.parse(await inspect("web", "{{json .HostConfig.Links}}"))).toEqual(["/db:/web/store", "/db:/web/db"]);
    const names = await engine.ok("ps", "--no-trunc", "--filter", "name=^db$", "--format", "{{.Names}}");
    expect(names).toBe("db,web/db,web/store");
    expect(await inspect("web/store", "{{.Name}}")).toBe("/db");
  });

  test("the berth CLI says the same", async () => {
    await sleeper("db");
    const { code, stdout } = await engine.berth("run", "--rm", "--link", "db:store", "busybox", "cat", "/etc/hosts");
    expect([code, stdout]).toEqual([0, expect.stringContaining(`${await addressIn("db")}\tstore `)]);
  });

  test("a linked container that comes back with another address is found again", async () => {
    await sleeper("db");
    await sleeper("web", "--link", "db:store");
    await engine.ok("exec", "web", "sh", "-c", "echo 1.2.3.4 mine >> /etc/hosts");
    const before = await addressIn("db");
    await engine.ok("stop", "-t", "0", "db");
    await engine.ok("start", "db");
    const after = await addressIn("db");
    expect(after).not.toBe(before);
    expect(await named("web", "store")).toEqual([expect.stringContaining(`${after}\tstore `)]);
    expect(await named("web", "mine")).toEqual(["1.2.3.4 mine"]);
    await engine.ok("network", "disconnect", "bridge", "db");
    expect(await named("web", "store")).toEqual([]);
  });

  test("renaming either changes what is shown; a removed target cannot be started without", async () => {
    await sleeper("db");
    await sleeper("web", "--link", "db:store");
    await engine.ok("rename", "db", "db2");
    await engine.ok("rename", "web", "web2");
    expect(JSON.parse(await inspect("web2", "{{json .HostConfig.Links}}"))).toEqual(["/db2:/web2/store"]);
    await engine.ok("stop", "-t", "0", "db2");
    const why = "Cannot link to a non running container: /db2 AS /web2/store";
    expect(await refusal("restart", "-t", "0", "web2")).toContain(why);
    expect((await call(engine, "POST /containers/web2/start")).status).toBe(409);
    await engine.ok("start", "db2");
    await engine.ok("start", "web2");
    await remove("db2");
    expect(await refusal("restart", "-t", "0", "web2")).toContain("Cannot link to a non running container: /");
  });

  test("rm --link removes the name and nothing else", async () => {
    await sleeper("db");
    await sleeper("web", "--link", "db:store", "--link", "db:other");
    expect(await refusal("rm", "--link", "web")).toContain("cannot remove the default link name of the container");
    expect(await refusal("rm", "--link", "web/nope")).toContain("No such container: web/nope");
    expect(await refusal("rm", "--link", "nope/store")).toContain("No such container: nope/store");
    await engine.ok("rm", "--link", "/web/store");
    expect(await named("web", "store")).toEqual([]);
    expect(await named("web", "other")).toHaveLength(1);
    expect(JSON.parse(await inspect("web", "{{json .HostConfig.Links}}"))).toEqual(["/db:/web/other"]);
    expect(await engine.ok("ps", "-q")).toHaveLength(25);
  });

  test("what cannot be linked is refused", async () => {
    const link = (target: string, ...flags: string[]) =>
      refusal("create", "--link", target, ...flags, "busybox", "true");
    expect(await link("nobody")).toContain("could not get container for nobody: No such container: nobody");
    expect(await link("a:b:c")).toContain("bad format for links: a:b:c");
    expect(await link("a:b\n1.2.3.4 c")).toContain("is no host name");
    await sleeper("host", "--network", "host");
    await sleeper("db");
    expect(await link("host:x")).toContain("host type networking can't be used with links");
    // The CLI 20 does not ask the engine.
    const old = "links are only supported for user-defined networks";
    expect(await link("db", "--network", "host")).toContain(
      isOld("docker") ? old : "host type networking can't be used with links",
    );
    expect(await link("db", "--network", "container:db")).toContain(
      isOld("docker") ? old : "container type network can't be used with links",
    );
    await sleeper("alone", "--network", "none");
    const run = await refusal("run", "--rm", "--link", "alone:x", "busybox", "true");
    expect(run).toContain("Cannot link to /alone, as it does not belong to the default network");
    await sleeper("shares", "--network", "container:db");
    const through = await engine.ok("run", "--rm", "--link", "shares:x", "busybox", "cat", "/etc/hosts");
    expect(through).toContain(`${await addressIn("db")}\tx `);
  });

  test("after a crash of the daemon links start in their order", async () => {
    await sleeper("db", "--restart", "always");
    await sleeper("web", "--restart", "always", "--link", "db:store");
    const pids = await engine.ok("inspect", "-f", "{{.State.Pid}}", "db", "web");
    await engine.stop("SIGKILL");
    for (const pid of pids.split("\n")) process.kill(Number(pid), "SIGKILL");
    await engine.start();
    const running = ["ps", "-q", "--filter", "status=running"];
    await until("both run again", async () => (await engine.ok(...running)).split("\n").length === 2);
    expect(await named("web", "store")).toEqual([expect.stringContaining(await addressIn("db"))]);
  });
});

/** What a program in the container gets for a name. */
async function resolved(container: string, name: string): Promise<string[]> {
  const { stdout } = await engine.docker("exec", container, "nslookup", "-type=a", name);
  return [...stdout.matchAll(/^Address: (\S+)$/gm)].map((match) => match[1] ?? "");
}

describe("in user networks", () => {
  test("links are names in that network, for containers that need not exist yet", async () => {
    await engine.ok("network", "create", "own");
    await sleeper("web", "--network", "own", "--link", "later:db");
    expect(await resolved("web", "db")).toEqual([]);
    await sleeper("later", "--network", "own");
    expect(await resolved("web", "db")).toEqual([await addressIn("later", "own")]);
    expect(await resolved("later", "db")).toEqual([]);
    expect(JSON.parse(await inspect("web", "{{json .HostConfig.Links}}"))).toBeNull();
    expect(JSON.parse(await inspect("web", "{{json .NetworkSettings.Networks.own.Links}}"))).toEqual(["later:db"]);
    await remove("later");
    await sleeper("other", "--network", "own", "--network-alias", "later");
    expect(await resolved("web", "db")).toEqual([await addressIn("other", "own")]);
  });

  test("HostConfig.Links alone is enough, and links of a connection come and go with it", async () => {
    await engine.ok("network", "create", "own");
    await sleeper("db", "--network", "own");
    const body = { Image: "busybox", Cmd: ["sleep", "1000"], HostConfig: { NetworkMode: "own", Links: ["db:store"] } };
    const made = await call(engine, "POST /containers/create?name=web", JSON.stringify(body));
    expect(made.status).toBe(201);
    await engine.ok("start", "web");
    const address = await addressIn("db", "own");
    expect(await resolved("web", "store")).toEqual([address]);
    await sleeper("late");
    await engine.ok("network", "connect", "--link", "db:data", "own", "late");
    expect(await resolved("late", "data")).toEqual([address]);
    await engine.ok("network", "disconnect", "own", "late");
    expect(await resolved("late", "data")).toEqual([]);
    expect(await refusal("network", "connect", "--link", "a:b:c", "own", "late")).toContain("bad format for links");
  });

  test("connecting adds an address to the file, disconnecting takes it away", async () => {
    await engine.ok("network", "create", "own");
    await sleeper("member", "--hostname", "box");
    const [bridge, both] = [await addressIn("member"), () => named("member", "box")];
    await engine.ok("network", "connect", "own", "member");
    const own = await addressIn("member", "own");
    expect((await both()).toSorted()).toEqual([`${bridge}\tbox`, `${own}\tbox`].toSorted());
    await engine.ok("network", "disconnect", "bridge", "member");
    expect(await both()).toEqual([`${own}\tbox`]);
    await engine.ok("network", "disconnect", "own", "member");
    expect(await both()).toEqual([]);
  });
});

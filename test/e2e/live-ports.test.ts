import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { freePort } from "../support/registry.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());
afterEach(() => engine.docker("rm", "-f", "web"));

const script = "while :; do echo web | nc -l -p 80 2>/dev/null; done";

function server(...flags: string[]): Promise<string> {
  return engine.ok("run", "-d", "--name", "web", ...flags, "busybox", "sh", "-c", script);
}

async function ask(port: number): Promise<string> {
  return (await Bun.$`busybox nc -w 2 127.0.0.1 ${port} < /dev/null`.quiet().nothrow().text()).trim();
}

const answers = (port: number) => until(`port ${port} answers`, async () => (await ask(port)) === "web");

async function berth(...argv: string[]): Promise<string> {
  const { code, stdout, stderr } = await engine.berth(...argv);
  if (code !== 0) throw new Error(`berth ${argv.join(" ")}: ${stderr}`);
  return stdout.trim();
}

describe("berth port add and rm", () => {
  test("publish and unpublish while the container runs", async () => {
    const port = await freePort();
    await server();
    expect(await berth("port", "add", "web", `${port}:80`)).toBe(`80/tcp -> 0.0.0.0:${port}`);
    await answers(port);
    expect(await engine.ok("port", "web")).toBe(`80/tcp -> 0.0.0.0:${port}`);
    expect(await engine.ok("ps", "--format", "{{.Ports}}")).toBe(`0.0.0.0:${port}->80/tcp`);
    await berth("port", "rm", "web", String(port));
    expect(await ask(port)).toBe("");
    expect(await engine.ok("port", "web")).toBe("");
  });

  test("hold over a restart, a crash of the daemon, and for a container that does not run", async () => {
    const [first, second] = [await freePort(), await freePort()];
    await server();
    await berth("port", "add", "web", `${first}:80`);
    await engine.ok("restart", "-t", "0", "web");
    await answers(first);
    await engine.stop("SIGKILL");
    await engine.start();
    await answers(first);
    await engine.ok("stop", "-t", "0", "web");
    await berth("port", "add", "web", `${second}:80`);
    await berth("port", "rm", "web", String(first));
    await engine.ok("start", "web");
    await answers(second);
    expect(await engine.ok("port", "web")).toBe(`80/tcp -> 0.0.0.0:${second}`);
  });

  test("a port that the engine chose stays the same", async () => {
    await server();
    const shown = await berth("port", "add", "web", "80");
    await engine.ok("restart", "-t", "0", "web");
    expect(await engine.ok("port", "web")).toBe(shown);
    const port = shown.split(":").at(-1) ?? "";
    await answers(Number(port));
    await berth("port", "rm", "web", port);
    expect(await engine.ok("port", "web")).toBe("");
  });

  test("one address, udp, and beside ports that are there from the start", async () => {
    const [own, more] = [await freePort(), await freePort()];
    await server("-p", `${own}:80`);
    await berth("port", "add", "web", `127.0.0.1:${more}:80`, `${more}:53/udp`);
    await answers(more);
    await answers(own);
    await berth("port", "rm", "web", `127.0.0.1:${more}`, `${more}/udp`);
    expect(await engine.ok("port", "web")).toBe(`80/tcp -> 0.0.0.0:${own}`);
    await berth("port", "rm", "web", String(own));
    expect(await ask(own)).toBe("");
    await engine.ok("restart", "-t", "0", "web");
    expect(await engine.ok("port", "web")).toBe("");
  });

  test("what cannot be is refused, and nothing has changed", async () => {
    const taken = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => undefined } });
    await server();
    const refused = async (...argv: string[]) => (await engine.berth("port", ...argv)).stderr;
    expect(await refused("add", "web", `${taken.port}:80`)).toContain("address already in use");
    expect(await refused("add", "web", "99999:80")).toContain("invalid");
    expect(await refused("add", "web", "x")).toContain("invalid");
    expect(await refused("rm", "web", "81")).toContain("container web does not publish 81/tcp");
    expect(await refused("rm", "web", "nonsense")).toContain("PORT or PORT/PROTOCOL");
    expect(await refused("add", "nobody", "80")).toContain("No such container: nobody");
    expect(await engine.ok("port", "web")).toBe("");
    expect(await engine.ok("inspect", "-f", "{{json .HostConfig.PortBindings}}", "web")).toBe("{}");
    await engine.ok("rm", "-f", "web");
    await server("--network", "host");
    expect(await refused("add", "web", "80")).toContain("has no network of its own (mode host)");
    taken.stop();
  });

  test("ports beside each other of one container conflict with their own kind only", async () => {
    const port = await freePort();
    await server();
    await berth("port", "add", "web", `${port}:80`);
    const { code, stderr } = await engine.berth("port", "add", "web", `${port}:81`);
    expect(code).toBe(1);
    expect(stderr).toContain("port is already allocated");
    expect(await engine.ok("port", "web")).toBe(`80/tcp -> 0.0.0.0:${port}`);
  });
});

test("the endpoint behind it says what it did, and what it cannot read", async () => {
  await server();
  const made = await call(
    engine,
    "POST /v1.45/containers/web/publish",
    JSON.stringify({ PortBindings: { "80": null } }),
  );
  expect(made.status).toBe(200);
  const { Ports } = JSON.parse(made.text);
  const port = Ports["80/tcp"][0].HostPort;
  expect((await call(engine, `POST /containers/web/unpublish?port=${port}/tcp&ip=0.0.0.0`)).status).toBe(204);
  expect((await call(engine, `POST /containers/web/unpublish?port=${port}`)).status).toBe(404);
  expect((await call(engine, "POST /containers/web/publish", "{}")).status).toBe(400);
  expect((await call(engine, "POST /containers/web/publish", '{"PortBindings":{"x":[]}}')).status).toBe(400);
});

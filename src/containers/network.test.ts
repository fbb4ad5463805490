import { afterAll, beforeAll, expect, test } from "bun:test";
import { decodeNetworkCreate } from "../wire/mod.ts";
import { body, script } from "./testing/bodies.ts";
import { type Engine, startEngine } from "./testing/engine.ts";
import { makeAndStart, run } from "./testing/run.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine({ realNetworks: true });
});
afterAll(() => engine.dispose());

const settings = async (id: string) => (await engine.containers.inspect(id, false)).NetworkSettings;
const force = { force: true, volumes: true, link: false };
const networkBody = (Name: string) => decodeNetworkCreate({ Name });

test("the default bridge: an address, a name for it, gone with the container", async () => {
  const id = await makeAndStart(engine, script("sleep 1000"), { NetworkMode: "default" });
  const { IPAddress, Gateway, Networks } = await settings(id);
  expect(IPAddress).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  expect(Networks["bridge"]).toMatchObject({ IPAddress, Gateway });
  const gateway = { NetworkMode: "bridge", ExtraHosts: ["up:host-gateway"] };
  const other = await run(engine, script("cat /etc/hosts"), gateway);
  expect(other.stdout).toContain(`${Gateway}\tup\n`);
  expect(other.stdout).toMatch(new RegExp(`^[0-9.]+\t${other.id.slice(0, 12)}$`, "m"));
  const [row] = await engine.containers.list({
    all: false,
    limit: 0,
    size: false,
    filter: new Map([["network", ["bridge"]]]),
  });
  expect(row?.Id).toBe(id);
  await engine.containers.remove(id, force);
  expect(engine.realNetworks.endpoints(id)).toEqual([]);
});

test("published ports answer, and are freed", async () => {
  const server = script("while :; do echo pong | nc -l -p 80; done", { ExposedPorts: { "80/tcp": {} } });
  const id = await makeAndStart(engine, server, { NetworkMode: "bridge", PublishAllPorts: true });
  const { Ports } = await settings(id);
  const port = Number(Ports["80/tcp"]?.[0]?.HostPort);
  expect(port).toBeGreaterThan(0);
  const [row] = await engine.containers.list({ all: false, limit: 0, size: false, filter: new Map([["id", [id]]]) });
  expect(row?.Ports).toContainEqual({ IP: "0.0.0.0", PrivatePort: 80, PublicPort: port, Type: "tcp" });
  const taken = { NetworkMode: "bridge", PortBindings: { "80/tcp": [{ HostIp: "", HostPort: String(port) }] } };
  const { Id: second } = await engine.containers.create({ body: body(script("sleep 1000"), taken) });
  await expect(engine.containers.start(second)).rejects.toThrow("port is already allocated");
  await engine.containers.remove(id, force);
  await engine.containers.start(second);
  await engine.containers.remove(second, force);
});

test("none, host, and another container's", async () => {
  const none = await run(engine, script("ls /sys/class/net"), { NetworkMode: "none" });
  expect(none.stdout.trim()).toBe("lo");
  const host = await run(engine, script("ls /proc/self/ns/ >/dev/null; readlink /proc/self/ns/net"), {
    NetworkMode: "host",
  });
  expect(host.stdout.trim()).toBe((await engine.host.processes.run(["readlink", "/proc/self/ns/net"])).stdout.trim());
  const first = await makeAndStart(engine, script("sleep 1000"), { NetworkMode: "bridge" });
  const joined = await run(engine, script("hostname; cat /etc/hosts"), {
    NetworkMode: `container:${first.slice(0, 12)}`,
  });
  expect(joined.stdout).toContain(`${(await settings(first)).IPAddress}\t${first.slice(0, 12)}`);
  await engine.containers.remove(first, force);
  const gone = engine.containers.create({ body: body(script("sleep 1000"), { NetworkMode: `container:${first}` }) });
  await expect(gone).rejects.toThrow("No such container");
});

test("a network of its own lets everybody use low ports and ping; joining another's leaves what its owner set", async () => {
  const show = script("cd /proc/sys/net/ipv4; cat ip_unprivileged_port_start ping_group_range");
  const own = await run(engine, show, { NetworkMode: "none" });
  expect(own.stdout.split(/\s+/)).toEqual(["0", "0", "2147483647", ""]);
  const Sysctls = { "net.ipv4.ip_unprivileged_port_start": "1000" };
  const first = await makeAndStart(engine, script("sleep 1000"), { NetworkMode: "none", Sysctls });
  const joined = await run(engine, show, { NetworkMode: `container:${first}` });
  expect(joined.stdout.split(/\s+/)).toEqual(["1000", "0", "2147483647", ""]);
  await engine.containers.remove(first, force);
});

test("a running container keeps its address over the daemon's restart", async () => {
  const id = await makeAndStart(engine, script("sleep 1000"), { NetworkMode: "bridge" });
  const before = (await settings(id)).IPAddress;
  engine = await engine.crash();
  expect((await settings(id)).IPAddress).toBe(before);
  await engine.containers.remove(id, force);
});

test("connect and disconnect: a running container gets and loses an interface, a stopped one is a member from its next start", async () => {
  const name = `members-${process.pid}`;
  const { id: network } = await engine.realNetworks.create(networkBody(name));
  const id = await makeAndStart(engine, script("sleep 1000"), { NetworkMode: "bridge" });
  const join = { Container: id, EndpointConfig: { Aliases: ["web"] } };
  await engine.containers.connect(network.slice(0, 12), join);
  const both = (await settings(id)).Networks;
  expect(Object.keys(both)).toEqual(["bridge", name]);
  expect(both[name]).toMatchObject({ Aliases: ["web"], NetworkID: network, IPAddress: expect.stringMatching(/^\d/) });
  await expect(engine.containers.connect(name, join)).rejects.toMatchObject({ kind: "forbidden" });
  await engine.containers.disconnect("bridge", { Container: id, Force: false });
  expect(Object.keys((await settings(id)).Networks)).toEqual([name]);
  await expect(engine.containers.disconnect("bridge", { Container: id, Force: false })).rejects.toThrow(
    "not connected",
  );
  await engine.containers.restart(id, { timeout: 0 });
  expect(engine.realNetworks.endpoints(id).map((endpoint) => endpoint.networkName)).toEqual([name]);
  await engine.containers.remove(id, force);

  const { Id: later } = await engine.containers.create({ body: body(script("sleep 1000"), { NetworkMode: name }) });
  await engine.containers.disconnect(name, { Container: later, Force: false });
  await engine.containers.connect("bridge", { Container: later, EndpointConfig: {} });
  await engine.containers.start(later);
  expect(engine.realNetworks.endpoints(later).map((endpoint) => endpoint.networkName)).toEqual(["bridge"]);
  await engine.containers.remove(later, force);
  await engine.realNetworks.remove(name);
});

test("who has no network of its own cannot join one; endpoints that are asked for are all there are", async () => {
  for (const NetworkMode of ["host", "none"]) {
    const { Id } = await engine.containers.create({ body: body(script("true"), { NetworkMode }) });
    const joining = engine.containers.connect("bridge", { Container: Id, EndpointConfig: {} });
    await expect(joining).rejects.toMatchObject({ kind: "forbidden" });
    await engine.containers.remove(Id, force);
  }
  const name = `asked-${process.pid}`;
  await engine.realNetworks.create(networkBody(name));
  const asked = { ...body(script("true"), { NetworkMode: "default" }), endpoints: { [name]: {} } };
  const { Id } = await engine.containers.create({ body: asked });
  expect(Object.keys((await settings(Id)).Networks)).toEqual([name]);
  await engine.containers.remove(Id, force);
  await engine.realNetworks.remove(name);
});

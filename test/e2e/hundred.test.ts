import { afterAll, beforeAll, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const names = Array.from({ length: 100 }, (_, at) => `many${at}`);

async function start(name: string): Promise<void> {
  const body = { Image: "busybox", Cmd: ["sleep", "1000"], HostConfig: { NetworkMode: "crowd" } };
  const created = await call(engine, `POST /containers/create?name=${name}`, JSON.stringify(body));
  expect([name, created.status]).toEqual([name, 201]);
  expect([name, (await call(engine, `POST /containers/${name}/start`)).status]).toEqual([name, 204]);
}

interface Crowd {
  readonly Containers: Readonly<Record<string, { readonly Name: string; readonly IPv4Address: string }>>;
}

/** Address by name. */
async function addresses(): Promise<Record<string, string>> {
  const [{ Containers }] = JSON.parse(await engine.ok("network", "inspect", "crowd")) as [Crowd];
  return Object.fromEntries(
    Object.values(Containers).map(({ Name, IPv4Address }) => [Name, IPv4Address.split("/")[0] ?? ""]),
  );
}

/** What every container gets for every name, asked from within each one's network: `{container: {name: address}}`. */
async function everybodyAsks(pids: Readonly<Record<string, number>>): Promise<Record<string, Record<string, string>>> {
  const script = `
import ctypes, json, os, socket, struct, sys
pids, libc, found = json.load(sys.stdin), ctypes.CDLL("libc.so.6", use_errno=True), {}
for asker, pid in pids.items():
    with open(f"/proc/{pid}/ns/net") as ns:
        assert libc.setns(ns.fileno(), 0x40000000) == 0, os.strerror(ctypes.get_errno())
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); s.connect(("127.0.0.11", 53))
    found[asker] = {}
    for name in pids:
        s.send(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + bytes([len(name)]) + name.encode() + b"\\0" + struct.pack(">2H", 1, 1))
        answer = s.recv(512)
        found[asker][name] = socket.inet_ntoa(answer[-4:]) if answer[7] == 1 else answer.hex()
json.dump(found, sys.stdout)`;
  const child = Bun.spawn(["python3", "-c", script], { stdin: Buffer.from(JSON.stringify(pids)), stdout: "pipe" });
  return JSON.parse(await new Response(child.stdout).text());
}

test("a hundred containers at once: addresses of their own, names that all know, and nothing kept afterwards", async () => {
  await engine.ok("network", "create", "--subnet", "10.94.117.0/25", "crowd");
  await Promise.all(names.map(start));
  const given = await addresses();
  expect(Object.keys(given).toSorted()).toEqual(names.toSorted());
  expect(new Set(Object.values(given)).size).toBe(100);

  const states = JSON.parse(await engine.ok("inspect", ...names)) as { Name: string; State: { Pid: number } }[];
  const pids = Object.fromEntries(states.map(({ Name, State }) => [Name.slice(1), State.Pid]));
  for (const [asker, found] of Object.entries(await everybodyAsks(pids)))
    expect([asker, found]).toEqual([asker, given]);

  const gone = await Promise.all(names.map((name) => call(engine, `DELETE /containers/${name}?force=1`)));
  expect(gone.filter(({ status }) => status !== 204)).toEqual([]);
  expect(await addresses()).toEqual({});
  await start("last");
  await engine.ok("network", "disconnect", "crowd", "last");
  for (const address of Object.values(given).filter((_, at) => at % 4 === 0)) {
    await engine.ok("network", "connect", "--ip", address, "crowd", "last");
    await engine.ok("network", "disconnect", "crowd", "last");
  }
  // What is left of the subnet is enough for those alone who have given theirs back.
  await Promise.all(names.slice(0, 30).map(start));
  expect(new Set(Object.values(await addresses())).size).toBe(30);
}, 120_000);

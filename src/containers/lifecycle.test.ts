import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after } from "../async/mod.ts";
import { body, script } from "./testing/bodies.ts";
import { type Engine, everything, startEngine, until } from "./testing/engine.ts";
import { attachAll, eventsOf, logText, make, makeAndStart, never, run } from "./testing/run.ts";
import { FakeSocket } from "./testing/socket.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.dispose());

const force = { force: true, volumes: true, link: false };
const state = async (id: string) => (await engine.containers.inspect(id, false)).State;

/** The kernel drops a signal that PID 1 has no handler for yet, so the trap must be set before one is sent. */
async function trapping(text: string): Promise<string> {
  const id = await makeAndStart(engine, script(text));
  await until(async () => (await logText(engine, id)) === "ready\n", "the trap is set");
  return id;
}

test("run: output, exit code, and everything is there before wait answers", async () => {
  const done = await run(engine, script("echo out; echo err >&2; exit 3"));
  expect(done).toMatchObject({ code: 3, stdout: "out\n", stderr: "err\n" });
  expect(await state(done.id)).toMatchObject({ Status: "exited", Running: false, ExitCode: 3, Pid: 0 });
  expect(eventsOf(engine, done.id)).toEqual(["create", "attach", "start", "die 3"]);
});

test("the image's configuration is merged in", async () => {
  const done = await run(
    engine,
    script("echo $A $B $HOME $HOSTNAME; pwd", { Env: ["B=mine"], WorkingDir: "/new/dir" }),
  );
  expect(done.stdout).toBe(`image mine /root ${done.id.slice(0, 12)}\n/new/dir\n`);
  const { Config, Path, Args } = await engine.containers.inspect(done.id, false);
  expect(Config.Labels).toEqual({ from: "image" });
  expect([Path, ...Args]).toEqual(["sh", "-c", "echo $A $B $HOME $HOSTNAME; pwd"]);
});

test("stdin reaches the process and its end, too", async () => {
  const id = await make(engine, { Cmd: ["cat"], OpenStdin: true, StdinOnce: true });
  const socket = new FakeSocket();
  const served = (await engine.containers.attach(id, attachAll)).serve(socket);
  socket.type("typed before the start\n");
  await engine.containers.start(id);
  socket.type("and after\n");
  socket.input.close();
  await served;
  expect((await socket.streams()).stdout).toBe("typed before the start\nand after\n");
});

test("a program that is not there or cannot be run: 127 and 126, and the container stays created", async () => {
  const missing = await make(engine, { Cmd: ["no-such-program"] });
  await expect(engine.containers.start(missing)).rejects.toThrow(/executable file not found in \$PATH/);
  await until(async () => (await state(missing)).ExitCode !== 0, "the failure is in the row");
  expect(await state(missing)).toMatchObject({ Status: "created", ExitCode: 127 });
  const plain = await make(engine, { Cmd: ["/bin/plain"] });
  await engine.containers.start(plain).catch(() => undefined);
  expect(await state(plain)).toMatchObject({ Status: "created", ExitCode: 126 });
  expect((await state(plain)).Error).toContain("permission denied");
});

test("a failed start leaves nothing, and with --rm not even the container", async () => {
  const id = await make(engine, { Cmd: ["no-such-program"] }, { AutoRemove: true });
  const gone = engine.containers.wait(id, "removed", never);
  await engine.containers.start(id).catch(() => undefined);
  expect((await gone).StatusCode).toBe(127);
  expect(engine.networks.open.has(id)).toBe(false);
  expect(engine.host.mounts.list().filter((mount) => mount.target.includes(id))).toEqual([]);
  expect(existsSync(join(engine.directory, "containers", id))).toBe(false);
});

test("a network that cannot be had: 128", async () => {
  engine.networks.failure = new Error("port is already allocated");
  const id = await make(engine, script("true"), { NetworkMode: "bridge" });
  const failure = await engine.containers.start(id).catch((err: Error) => err.message);
  engine.networks.failure = undefined;
  expect(failure).toContain("already allocated");
  expect(await state(id)).toMatchObject({ Status: "created", ExitCode: 128 });
  expect(engine.networks.open.has(id)).toBe(false);
});

test("stop: the stop signal, then the time is up and it is killed", async () => {
  const polite = await trapping("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
  await engine.containers.stop(polite, {});
  expect((await state(polite)).ExitCode).toBe(7);
  expect(eventsOf(engine, polite)).toEqual(["create", "start", "kill 15", "die 7", "stop"]);
  const stubborn = await makeAndStart(engine, script("trap '' TERM; while :; do sleep 0.05; done"));
  await engine.containers.stop(stubborn, { timeout: 0 });
  expect((await state(stubborn)).ExitCode).toBe(137);
  await expect(engine.containers.stop(stubborn, {})).rejects.toMatchObject({ kind: "not-modified" });
  await engine.containers.start(stubborn);
  await expect(engine.containers.start(stubborn)).rejects.toMatchObject({ kind: "not-modified" });
  await engine.containers.remove(stubborn, force);
});

test("kill: any signal by any of its names, and only where something runs", async () => {
  const id = await trapping("trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done");
  const waiting = engine.containers.wait(id, "not-running", never);
  await engine.containers.kill(id, "SIGUSR1");
  expect((await waiting).StatusCode).toBe(5);
  await expect(engine.containers.kill(id, "KILL")).rejects.toThrow(/is not running/);
  await expect(engine.containers.kill(id, "NOPE")).rejects.toThrow("invalid signal: NOPE");
});

test("rm: refused while it runs, --force ends it, nothing is left", async () => {
  const { Id } = await engine.containers.create({ body: body(script("sleep 1000")), name: "runs" });
  await engine.containers.start(Id);
  const refusal =
    'cannot remove container "/runs": container is running: stop the container before removing or force remove';
  await expect(engine.containers.remove("runs", { ...force, force: false })).rejects.toThrow(refusal);
  await engine.containers.remove("runs", force);
  await expect(engine.containers.inspect(Id, false)).rejects.toThrow(`No such container: ${Id}`);
  expect(eventsOf(engine, Id)).toEqual(["create", "start", "kill 9", "die 137", "destroy"]);
  expect(readdirSync(join(engine.directory, "containers"))).not.toContain(Id);
  expect(readdirSync(join(engine.directory, "exec/rootfs"))).not.toContain(Id);
  expect(readdirSync(join(engine.directory, "exec/bundles"))).not.toContain(Id);
});

test("--rm: removed by the daemon, with its anonymous volumes", async () => {
  const done = await run(engine, script("echo bye; exit 4", { Image: "volumes" }), { AutoRemove: true });
  expect(done).toMatchObject({ code: 4, stdout: "bye\n" });
  await expect(engine.containers.inspect(done.id, false)).rejects.toMatchObject({ kind: "not-found" });
  expect(readdirSync(join(engine.directory, "volumes")).filter((name) => /^[0-9a-f]{64}$/.test(name))).toEqual([]);
});

test("names: taken, bad, made up; prefixes of ids", async () => {
  const { Id } = await engine.containers.create({ body: body({}), name: "taken" });
  const again = engine.containers.create({ body: body({}), name: "taken" });
  await expect(again).rejects.toThrow(
    `Conflict. The container name "/taken" is already in use by container "${Id}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
  await expect(engine.containers.create({ body: body({}), name: "?" })).rejects.toThrow(/only \[a-zA-Z0-9\]/);
  await expect(engine.containers.create({ body: body({ Image: "none" }) })).rejects.toThrow("No such image: none");
  await engine.containers.rename("taken", "free");
  const { Name } = await engine.containers.inspect(Id.slice(0, 20), false);
  expect(Name).toBe("/free");
  await expect(engine.containers.inspect("taken", false)).rejects.toThrow("No such container: taken");
});

test("pause and unpause; a paused one can be stopped", async () => {
  const id = await makeAndStart(engine, script("sleep 1000"));
  await engine.containers.pause(id);
  expect(await state(id)).toMatchObject({ Status: "paused", Paused: true, Running: true });
  await expect(engine.containers.pause(id)).rejects.toThrow("already paused");
  await engine.containers.unpause(id);
  await engine.containers.pause(id);
  await engine.containers.stop(id, { timeout: 0 });
  expect((await state(id)).Status).toBe("exited");
});

test("restart policies: on-failure as often as it says, always until a user stops it", async () => {
  const failing = await makeAndStart(engine, script("exit 9"), {
    RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 },
  });
  await until(async () => (await engine.containers.inspect(failing, false)).RestartCount === 2, "two retries");
  await until(async () => (await state(failing)).Status === "exited", "then it gives up");
  const always = await makeAndStart(engine, script("sleep 0.01"), { RestartPolicy: { Name: "always" } });
  await until(async () => (await engine.containers.inspect(always, false)).RestartCount > 0, "a restart");
  await engine.containers.stop(always, { timeout: 0 });
  expect((await state(always)).Status).toBe("exited");
});

test("restart starts it again, also with --rm", async () => {
  const id = await makeAndStart(engine, script("sleep 1000"), { AutoRemove: true });
  const before = (await state(id)).Pid;
  await engine.containers.restart(id, { timeout: 0 });
  expect((await state(id)).Pid).not.toBe(before);
  expect((await state(id)).Running).toBe(true);
  await engine.containers.remove(id, force);
});

test("memory: the kernel's kill is reported", async () => {
  const id = await makeAndStart(engine, script("tail /dev/zero"), { Memory: 16 << 20, MemorySwap: 16 << 20 });
  const { StatusCode } = await engine.containers.wait(id, "not-running", never);
  expect(StatusCode).toBe(137);
  expect((await state(id)).OOMKilled).toBe(true);
  expect(eventsOf(engine, id)).toContain("oom");
});

test("users come from the container's own files", async () => {
  expect((await run(engine, script("id; echo $HOME", { User: "app" }))).stdout).toBe(
    "uid=1000(app) gid=1001(app) groups=1001(app),2000(extra)\n/home/app\n",
  );
  const id = await make(engine, { Cmd: ["true"], User: "nobody-here" });
  await expect(engine.containers.start(id)).rejects.toThrow(
    "unable to find user nobody-here: no matching entries in passwd file",
  );
});

test("files in /etc are the engine's", async () => {
  const done = await run(engine, script("cat /etc/hosts /etc/hostname; hostname", { Hostname: "box" }), {
    ExtraHosts: ["db:10.1.2.3"],
  });
  expect(done.stdout).toContain("127.0.0.1\tlocalhost\n");
  expect(done.stdout).toContain("10.1.2.3\tdb\n");
  expect(done.stdout.endsWith("box\nbox\n")).toBe(true);
});

test("mounts: bind, read-only, tmpfs, an image's volume with its content, another container's", async () => {
  const hostDirectory = join(engine.directory, "made-by-v");
  const done = await run(
    engine,
    script("echo x > /b/f; echo x > /ro/f; echo $?; cat /data/seed; touch /t/f && echo ok", { Image: "volumes" }),
    {
      Binds: [`${hostDirectory}:/b`, `${hostDirectory}:/ro:ro`],
      Tmpfs: { "/t": "size=1m" },
    },
  );
  expect(done.stdout).toBe("1\nfrom the image\nok\n");
  expect(existsSync(join(hostDirectory, "f"))).toBe(true);
  const { Mounts } = await engine.containers.inspect(done.id, false);
  expect(Mounts.map((mount) => `${mount.Type} ${mount.Destination} ${mount.RW}`)).toEqual([
    "bind /b true",
    "bind /ro false",
    "volume /data true",
  ]);
  const other = await run(engine, script("cat /data/seed"), { VolumesFrom: [done.id] });
  expect(other.stdout).toBe("from the image\n");
  const missing = { Mounts: [{ Type: "bind", Source: "/no/such", Target: "/x" }] };
  await expect(make(engine, {}, missing)).rejects.toThrow(
    'invalid mount config for type "bind": bind source path does not exist: /no/such',
  );
});

test("list and prune", async () => {
  const id = await make(engine, { Labels: { find: "me" } });
  const filter = new Map([["label", ["find=me"]]]);
  const options = { all: true, limit: 0, size: true, filter };
  const [found, ...others] = await engine.containers.list(options);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ Id: id, Command: "sh", State: "created", Status: "Created", Image: "busybox" });
  expect(await engine.containers.list({ ...options, all: false })).toEqual([]);
  await expect(engine.containers.list({ ...options, filter: new Map([["__proto__", ["x"]]]) })).rejects.toThrow(
    "invalid filter '__proto__'",
  );
  await expect(engine.containers.list({ ...options, filter: new Map([["nope", ["x"]]]) })).rejects.toThrow(
    "invalid filter 'nope'",
  );
  const { ContainersDeleted } = await engine.containers.prune(filter);
  expect(ContainersDeleted).toEqual([id]);
});

test("top lists the container's processes", async () => {
  const id = await makeAndStart(engine, { Cmd: ["sleep", "1000"] });
  const commands = async () => (await engine.containers.top(id, "")).Processes.map((columns) => columns.at(-1));
  // crun's start returns before its process has become ours by exec(2): until then ps shows crun.
  await until(async () => (await commands()).join() === "sleep 1000", "the process is ours");
  expect((await engine.containers.top(id, "")).Titles).toContain("PID");
  await expect(engine.containers.top(id, "-o comm")).rejects.toThrow("Couldn't find PID field");
  await engine.containers.update(id, { PidsLimit: 50 });
  expect((await engine.containers.inspect(id, false)).HostConfig.PidsLimit).toBe(50);
  await engine.containers.remove(id, force);
});

test("detach keys end the stream of a terminal, and the process goes on", async () => {
  const id = await make(engine, { Cmd: ["cat"], Tty: true, OpenStdin: true });
  const socket = new FakeSocket();
  const session = await engine.containers.attach(id, attachAll);
  expect(session.kind).toBe("raw");
  const served = session.serve(socket);
  await engine.containers.start(id);
  socket.type("hello\r");
  await until(() => socket.text.includes("hello\r\nhello"), "the echo");
  await engine.containers.resize(id, { rows: 30, columns: 100 });
  socket.type("\x10");
  socket.type("\x11");
  await served;
  expect((await state(id)).Running).toBe(true);
  expect(eventsOf(engine, id).slice(-2)).toEqual(["resize", "detach"]);
  await engine.containers.remove(id, force);
});

test("nobody is left with a row that is not shown", async () => {
  for (const { Id } of await everything(engine.containers)) await engine.containers.remove(Id, force);
  expect(engine.networks.open.size).toBe(0);
  expect(engine.host.mounts.list().filter((mount) => mount.target.startsWith(engine.directory))).toEqual([]);
});

test("the end of a start that failed late is not taken for that of the next one", async () => {
  const id = await make(engine, script("sleep 1000"), { NetworkMode: "bridge" });
  const connect = engine.networks.connect.bind(engine.networks);
  let failures = 1;
  engine.networks.connect = (...request) =>
    failures-- > 0 ? after(300).then(() => Promise.reject(new Error("no address"))) : connect(...request);
  const [first, second] = await Promise.allSettled([engine.containers.start(id), engine.containers.start(id)]);
  engine.networks.connect = connect;
  expect([first.status, second.status]).toEqual(["rejected", "fulfilled"]);
  await engine.containers.kill(id, "CONT"); // comes after the first one's exit in the container's queue
  expect((await state(id)).Status).toBe("running");
  await engine.containers.remove(id, force);
});

test("an exit that cannot be written down at once, as on a full disk, is written down later", async () => {
  const id = await makeAndStart(engine, script("sleep 0.3; exit 4"));
  const { Pid } = await state(id);
  const full = "BEFORE UPDATE ON containers BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
  engine.db.write((tx) => tx.run(`CREATE TRIGGER full ${full}`));
  await until(() => !existsSync(`/proc/${Pid}`), "the process has ended");
  await after(100);
  expect(await state(id)).toMatchObject({ Running: true });
  engine.db.write((tx) => tx.run("DROP TRIGGER full"));
  expect(await engine.containers.wait(id, "not-running", never)).toMatchObject({ StatusCode: 4 });
  expect(await state(id)).toMatchObject({ Status: "exited", ExitCode: 4 });
});

test("wait lasts until the restarts are over", async () => {
  const id = await make(engine, script("exit 9"), { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } });
  const waits = (["not-running", "next-exit"] as const).map((until) => engine.containers.wait(id, until, never));
  expect(await waits[0]).toEqual({ StatusCode: 0 });
  await engine.containers.start(id);
  expect(await waits[1]).toEqual({ StatusCode: 9 });
  expect((await engine.containers.inspect(id, false)).RestartCount).toBe(2);
});

test("a stop that may take longer than any timer does not kill at once", async () => {
  const id = await trapping("trap 'sleep 0.3; exit 5' TERM; echo ready; while :; do sleep 0.02; done");
  await engine.containers.stop(id, { timeout: 100_000_000 });
  expect((await state(id)).ExitCode).toBe(5);
});

test("rm --force of what is started again meanwhile kills that, too", async () => {
  const id = await makeAndStart(engine, script("sleep 1000"));
  const again = engine.containers.restart(id, { timeout: 0 });
  const removed = engine.containers.remove(id, force);
  const started = engine.containers.start(id);
  await Promise.allSettled([again, removed, started]);
  await removed;
  await expect(state(id)).rejects.toThrow("No such container");
  for (const kind of ["state/crun", "state/runc", "tasks", "exits", "bundles"]) {
    expect(readdirSync(join(engine.directory, "exec", kind)).filter((name) => name.startsWith(id))).toEqual([]);
  }
});

test("what a failed create cannot take back is a dead container, which can be removed", async () => {
  const mounts = engine.host.mounts as { unmount: (typeof engine.host.mounts)["unmount"] };
  const { unmount } = mounts;
  mounts.unmount = () => {
    throw new Error("busy");
  };
  await expect(make(engine, { Image: "volumes" })).rejects.toThrow("busy");
  mounts.unmount = unmount;
  const [dead] = await everything(engine.containers);
  expect(dead?.State).toBe("dead");
  await engine.containers.remove(dead?.Id ?? "", force);
  expect(engine.db.read((q) => q.all("SELECT * FROM volumes"))).toEqual([]);
});

test("an image that goes while a container is made of it leaves no container without files", async () => {
  const image = engine.images.get("volumes");
  const { rootfs } = engine.images;
  engine.db.write((tx) => tx.run("DELETE FROM image_layers WHERE image = ?", [image.id]));
  await expect(rootfs(image)).rejects.toThrow("No such image");
  await expect(make(engine, { Image: "volumes" })).rejects.toThrow("No such image");
});

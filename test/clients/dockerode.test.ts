import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { PassThrough, type Readable } from "node:stream";
import Docker from "dockerode";
import { tar } from "../support/tar.ts";
import { until } from "../support/until.ts";
import { clientEngine, image } from "./engine.ts";

let engine: Awaited<ReturnType<typeof clientEngine>>;
let docker: Docker;
const label = `clients-dockerode-${process.pid}`;

beforeAll(async () => {
  engine = await clientEngine();
  docker = new Docker({ socketPath: engine.host.replace("unix://", "") });
});
afterEach(async () => {
  const mine = await docker.listContainers({ all: true, filters: { label: [label] } });
  await Promise.all(mine.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
});
afterAll(() => engine[Symbol.asyncDispose]());

function create(Cmd: string[], options: Docker.ContainerCreateOptions = {}): Promise<Docker.Container> {
  return docker.createContainer({ Image: image, Cmd, Labels: { [label]: "" }, ...options });
}

async function sleeper(): Promise<Docker.Container> {
  const container = await create(["sleep", "100"]);
  await container.start();
  return container;
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += chunk.toString();
  return text;
}

/** Both sides of a multiplexed stream, as the modem takes it apart. */
async function demuxed(stream: NodeJS.ReadableStream): Promise<{ stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  docker.modem.demuxStream(stream, stdout, stderr);
  stream.on("end", () => {
    stdout.end();
    stderr.end();
  });
  const [out, err] = await Promise.all([textOf(stdout), textOf(stderr)]);
  return { stdout: out, stderr: err };
}

async function jsonLines(stream: NodeJS.ReadableStream, enough: (seen: unknown[]) => boolean): Promise<unknown[]> {
  const seen: unknown[] = [];
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    seen.push(...lines.filter((line) => line !== "").map((line) => JSON.parse(line)));
    if (enough(seen)) break;
  }
  return seen;
}

test("run: output, exit status, removal", async () => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const texts = Promise.all([textOf(stdout), textOf(stderr)]);
  const [result, container] = await docker.run(
    image,
    ["sh", "-c", "echo out; echo err >&2; exit 3"],
    [stdout, stderr],
    {
      Tty: false,
      Labels: { [label]: "" },
    },
  );
  stdout.end();
  stderr.end();
  expect(result.StatusCode).toBe(3);
  expect(await texts).toEqual(["out\n", "err\n"]);
  await container.remove();
  await expect(container.inspect()).rejects.toMatchObject({ statusCode: 404 });
});

test("run with a terminal: one stream", async () => {
  const stdout = new PassThrough();
  const text = textOf(stdout);
  await docker.run(image, ["sh", "-c", "test -t 1 && echo terminal"], stdout, { Labels: { [label]: "" } });
  stdout.end();
  expect(await text).toBe("terminal\r\n");
});

test("attach with hijack: stdin through, its end ends the process", async () => {
  const container = await create(["sh", "-c", "cat; echo end >&2"], {
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
  });
  const stream = await container.attach({ stream: true, hijack: true, stdin: true, stdout: true, stderr: true });
  await container.start();
  const output = demuxed(stream);
  stream.write("hello\n");
  stream.end();
  expect(await output).toEqual({ stdout: "hello\n", stderr: "end\n" });
  expect(await container.wait()).toMatchObject({ StatusCode: 0 });
});

test("exec with hijack and stdin", async () => {
  const container = await sleeper();
  const exec = await container.exec({ Cmd: ["sh", "-c", "cat; exit 4"], AttachStdin: true, AttachStdout: true });
  const stream = await exec.start({ hijack: true, stdin: true });
  const output = demuxed(stream);
  stream.write("through\n");
  stream.end();
  expect((await output).stdout).toBe("through\n");
  expect(await exec.inspect()).toMatchObject({ ExitCode: 4, Running: false });
});

test("exec: both streams without stdin, a terminal, detached", async () => {
  const container = await sleeper();
  const exec = await container.exec({
    Cmd: ["sh", "-c", "echo a; echo b >&2"],
    AttachStdout: true,
    AttachStderr: true,
  });
  expect(await demuxed(await exec.start({}))).toEqual({ stdout: "a\n", stderr: "b\n" });
  const tty = await container.exec({ Cmd: ["sh", "-c", "test -t 0 && echo yes"], AttachStdout: true, Tty: true });
  expect(await textOf(await tty.start({ Tty: true }))).toBe("yes\r\n");
  const detached = await container.exec({ Cmd: ["sh", "-c", "exit 6"] });
  await detached.start({ Detach: true });
  await until("the exec has ended", async () => !(await detached.inspect()).Running);
  expect((await detached.inspect()).ExitCode).toBe(6);
});

test("logs: at once as a buffer, followed as a stream", async () => {
  const container = await create(["sh", "-c", "echo one; sleep 0.3; echo two"]);
  await container.start();
  const followed = demuxed(await container.logs({ follow: true, stdout: true, stderr: true }));
  expect(await followed).toEqual({ stdout: "one\ntwo\n", stderr: "" });
  const buffer = await container.logs({ stdout: true, stderr: true, tail: 1 });
  expect([buffer[0], buffer.readUInt32BE(4), buffer.subarray(8).toString()]).toEqual([1, 4, "two\n"]);
});

test("statistics, once and as a stream", async () => {
  const container = await sleeper();
  const once = await container.stats({ stream: false });
  expect(once.memory_stats.usage).toBeGreaterThan(0);
  const stream = (await container.stats({ stream: true })) as Readable;
  const seen = (await jsonLines(stream, ({ length }) => length === 2)) as { read: string; id: string }[];
  stream.destroy();
  expect(seen.map(({ id }) => id)).toEqual([container.id, container.id]);
  expect(Date.parse(seen[1]!.read)).toBeGreaterThan(Date.parse(seen[0]!.read));
});

test("archives, in and out", async () => {
  const container = await sleeper();
  await container.putArchive(Buffer.from(tar({ name: "dir/f", data: "text" })), { path: "/tmp" });
  const got = Buffer.from(await new Response((await container.getArchive({ path: "/tmp/dir/f" })) as never).bytes());
  expect(got.subarray(0, 1).toString()).toBe("f");
  expect(got.includes("text")).toBe(true);
  const info = await container.infoArchive({ path: "/tmp/dir/f" });
  const header = (info as { headers?: Record<string, string> }).headers?.["x-docker-container-path-stat"] ?? "";
  expect(JSON.parse(Buffer.from(header, "base64").toString())).toMatchObject({ name: "f", size: 4 });
  await expect(container.getArchive({ path: "/none" })).rejects.toMatchObject({ statusCode: 404 });
});

test("wait: for the next exit, for removal", async () => {
  const container = await create(["sh", "-c", "exit 5"]);
  const next = container.wait({ condition: "next-exit" });
  const removed = container.wait({ condition: "removed" });
  await container.start();
  expect(await next).toMatchObject({ StatusCode: 5 });
  await container.remove();
  expect(await removed).toMatchObject({ StatusCode: 5 });
});

test("events", async () => {
  const stream = await docker.getEvents({ filters: { label: [label], type: ["container"] } });
  const seen = jsonLines(stream, (events) =>
    events.some((event) => (event as { Action: string }).Action === "destroy"),
  );
  const container = await create(["true"]);
  await container.start();
  await container.wait();
  await container.remove();
  const actions = ((await seen) as { Action: string }[]).map(({ Action }) => Action);
  expect(actions).toEqual(["create", "start", "die", "destroy"]);
});

test("lifecycle: pause, rename, update, resize, restart, top, changes, commit", async () => {
  const container = await create(["sleep", "100"], { Tty: true });
  await container.start();
  await container.resize({ h: 20, w: 50 });
  await container.pause();
  expect((await container.inspect()).State.Paused).toBe(true);
  await container.unpause();
  await container.rename({ name: `${label}-renamed` });
  await container.update({ CpuShares: 300 });
  expect(await container.inspect()).toMatchObject({ Name: `/${label}-renamed`, HostConfig: { CpuShares: 300 } });
  await container.restart({ t: 0 });
  expect(await container.top({ ps_args: "-eo pid,comm" })).toMatchObject({
    Processes: [[expect.any(String), "sleep"]],
  });
  expect(await container.changes()).not.toContainEqual({ Path: "/etc/passwd", Kind: 0 });
  const made = (await container.commit({ repo: label, comment: "why" })) as { Id: string };
  expect((await docker.getImage(label).inspect()).Id).toBe(made.Id);
  await docker.getImage(label).remove();
  await container.stop({ t: 0 });
  await expect(container.stop()).rejects.toMatchObject({ statusCode: 304 });
});

test("lists, pruning, errors", async () => {
  const container = await create(["true"]);
  const [found] = await docker.listContainers({ all: true, filters: { label: [label] } });
  expect(found).toMatchObject({ Id: container.id, State: "created", Command: "true", Labels: { [label]: "" } });
  const pruned = await docker.pruneContainers({ filters: { label: [label] } });
  expect(pruned.ContainersDeleted).toEqual([container.id]);
  await expect(docker.getContainer("clients-none").start()).rejects.toMatchObject({
    statusCode: 404,
    json: { message: "No such container: clients-none" },
  });
  await expect(docker.createContainer({ Image: "clients-none" })).rejects.toMatchObject({ statusCode: 404 });
});

test("networks and volumes", async () => {
  const network = await docker.createNetwork({ Name: label, Labels: { [label]: "" } });
  await docker.createVolume({ Name: label });
  const container = await create(["sleep", "100"], { HostConfig: { Binds: [`${label}:/data`] } });
  await container.start();
  await network.connect({ Container: container.id, EndpointConfig: { Aliases: ["web"] } });
  const shown = await container.inspect();
  expect(shown.NetworkSettings.Networks[label]?.Aliases).toContain("web");
  expect(shown.Mounts[0]).toMatchObject({ Type: "volume", Name: label, Destination: "/data", RW: true });
  await network.disconnect({ Container: container.id });
  await container.remove({ force: true });
  await network.remove();
  await docker.getVolume(label).remove();
});

/** Has no type of its own. */
function checkpoint({ id }: Docker.Container): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const options = { path: `/containers/${id}/checkpoints`, method: "POST", options: { CheckpointID: "x" } };
  docker.modem.dial({ ...options, statusCodes: { 201: true } }, (err, data) => (err ? reject(err) : resolve(data)));
  return promise;
}

test("checkpoints are refused", async () => {
  const container = await sleeper();
  const asked = container.start({ checkpointDir: "/tmp", checkpoint: "x" } as never);
  await expect(asked).rejects.toMatchObject({ statusCode: expect.any(Number) });
  await expect(checkpoint(container)).rejects.toThrow();
});

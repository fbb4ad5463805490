import { afterAll, beforeAll, expect, test } from "bun:test";
import { collect, fromBuffer, readTar } from "../stream/mod.ts";
import { decodeContainerConfig } from "../wire/mod.ts";
import { script } from "./testing/bodies.ts";
import { type Engine, startEngine, until } from "./testing/engine.ts";
import { eventsOf, logText, make, makeAndStart, never, run } from "./testing/run.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.dispose());

const change = "rm /data/seed; mkdir /new; echo x > /new/file; echo more >> /etc/passwd";

async function names(bytes: AsyncIterable<Uint8Array>): Promise<string[]> {
  const found: string[] = [];
  for await (const { header, content } of readTar(fromBuffer(await collect(bytes, 64 << 20)))) {
    found.push(Buffer.from(header.name).toString());
    for await (const _ of content);
  }
  return found;
}

test("diff: what was changed, and nothing that the engine made", async () => {
  const { id } = await run(engine, script(change));
  expect(await engine.containers.changes(id)).toEqual([
    { Path: "/data", Kind: 0 },
    { Path: "/data/seed", Kind: 2 },
    { Path: "/etc", Kind: 0 },
    { Path: "/etc/passwd", Kind: 0 },
    { Path: "/new", Kind: 1 },
    { Path: "/new/file", Kind: 1 },
  ]);
  expect(await engine.containers.changes((await run(engine, script("true"))).id)).toEqual([]);
});

test("commit: an image on top of the one it came from, that runs", async () => {
  const { id } = await run(engine, script(change, { Labels: { mine: "1" } }));
  const options = { repo: "made/here", tag: "v1", comment: "why", author: "who", pause: true };
  const { Id } = await engine.containers.commit(id, { ...options, changes: ["CMD cat /new/file", "ENV C=3"] });
  const image = engine.images.get("made/here:v1");
  expect(image.id).toBe(Id as typeof image.id);
  expect(image.config.rootfs.diff_ids).toHaveLength(2);
  expect(image.config.history?.at(-1)).toMatchObject({ comment: "why", author: "who" });
  expect(image.run.Labels).toEqual({ from: "image", mine: "1" });
  expect((await engine.images.inspect(Id)).Parent).toBe(engine.images.get("busybox").id);
  expect((await run(engine, { Image: "made/here:v1" })).stdout).toBe("x\n");
  expect(eventsOf(engine, id)).toContain("commit");
});

test("commit: the caller's own configuration wins, the container's fills it up, changes come last", async () => {
  const { id } = await run(engine, script("true", { Env: ["A=1", "B=1"], WorkingDir: "/tmp", Labels: { own: "1" } }));
  const config = decodeContainerConfig({ Env: ["A=2"], Labels: { mine: "1" }, Cmd: ["id"] });
  const { Id } = await engine.containers.commit(id, { pause: false, changes: ["ENV A=3"], config });
  const made = engine.images.get(Id).run;
  expect(made).toMatchObject({ Cmd: ["id"], WorkingDir: "/tmp", Labels: { own: "1", mine: "1" } });
  expect(made.Env).toContain("A=3");
  expect(made.Env).toContain("B=1");
  await engine.containers.remove(id, { force: true, volumes: true, link: false });
});

test("commit of a container that ends at that moment is not an error", async () => {
  for (let round = 0; round < 5; round++) {
    const id = await makeAndStart(engine, script("true"));
    expect((await engine.containers.commit(id, { pause: true, changes: [] })).Id).toStartWith("sha256:");
    await engine.containers.remove(id, { force: true, volumes: true, link: false });
  }
});

test("commit of a running container freezes it for a moment only", async () => {
  const id = await makeAndStart(engine, script("sleep 1000"));
  await engine.containers.commit(id, { pause: true, changes: [] });
  expect((await engine.containers.inspect(id, false)).State.Status).toBe("running");
  // Not by `rejects`, which waits inside of what a worker's message has called: that worker is not heard meanwhile.
  const refused = engine.containers.commit(id, { pause: true, changes: ["RUN x"] });
  expect(await refused.then(() => "", String)).toContain("not a valid change");
});

test("export of nothing fails before the first byte", () => {
  expect(() => engine.containers.export("none", never)).toThrow("No such container: none");
});

test("export: the whole tree, of a stopped and of a running container", async () => {
  const { id } = await run(engine, script(change));
  const stopped = await names(engine.containers.export(id, never));
  expect(stopped).toContain("new/file");
  expect(stopped).toContain("bin/busybox");
  expect(stopped).not.toContain("data/seed");
  expect(engine.host.mounts.list().filter((mount) => mount.target.includes(id))).toEqual([]);
  const running = await makeAndStart(engine, script("echo y > /tmp/here; echo done; sleep 1000"));
  await until(async () => (await logText(engine, running)) === "done\n", "the file is there");
  expect(await names(engine.containers.export(running, never))).toContain("tmp/here");
});

test("an image in use stays, and garbage collection keeps what containers need", async () => {
  const id = await make(engine, script("cat /etc/passwd"));
  const image = engine.images.get("busybox").id;
  await expect(engine.images.remove("busybox", { force: false, prune: true })).rejects.toThrow(/container/);
  expect(engine.containers.users(image).map((user) => user.containerId)).toContain(id);
  await engine.collector.collect();
  await engine.containers.start(id);
  expect((await engine.containers.wait(id, "not-running", never)).StatusCode).toBe(0);
});

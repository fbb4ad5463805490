import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSwapper } from "../../layers/archive/testing/swapper.ts";
import { collect, compress, fromBuffer, readTar, type TarHeader, writeTar } from "../../stream/mod.ts";
import { readAll } from "../../stream/tar/testing.ts";
import type { WritePath } from "../containers.ts";
import { body, script } from "../testing/bodies.ts";
import { type Engine, startEngine, until } from "../testing/engine.ts";
import { never, run } from "../testing/run.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
});
afterAll(() => engine.dispose());

const plain = { noOverwriteDirNonDir: false, copyUidGid: false, signal: never };

async function made(...[config, host]: Parameters<typeof body>): Promise<string> {
  return (await engine.containers.create({ body: body(config, host) })).Id;
}

async function running(...given: Parameters<typeof body>): Promise<string> {
  const id = await made(...given);
  await engine.containers.start(id);
  return id;
}

async function file(name: string, text: string, over: Partial<TarHeader> = {}): Promise<Buffer> {
  const base = { type: "file", mode: 0o644, uid: 5, gid: 6, mtime: 1_000_000_000_000_000_000n } as const;
  const header = { ...base, name: Buffer.from(name), size: BigInt(text.length), ...over };
  return await collect(writeTar([{ header, content: fromBuffer(text) }]), 1 << 20);
}

async function write(id: string, path: string, tar: Uint8Array, over: Partial<WritePath> = {}): Promise<void> {
  await engine.containers.writePath(id, path, { ...plain, bytes: fromBuffer(tar), ...over });
}

async function read(id: string, path: string): Promise<string[]> {
  const { bytes } = await engine.containers.readPath(id, path, never);
  return (await readAll(bytes)).map(({ name, text }) => `${Buffer.from(name)}=${text}`);
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => "it worked",
    (err: Error & { kind?: string }) => `${err.kind}: ${err.message}`,
  );

/** Nothing of a container that does not run is mounted. */
const mountsOf = (id: string) => engine.host.mounts.list().filter(({ target }) => target.includes(id));

test("a created, a running, a paused and a stopped container have the same files, volumes and binds included", async () => {
  const bind = join(engine.directory, "bind");
  mkdirSync(bind);
  writeFileSync(join(bind, "b"), "bound");
  const id = await made(script("sleep 100"), { Binds: [`named:/data`, `${bind}:/data/deep/bind`, `${bind}/b:/one`] });
  const all = async () => [
    ...(await read(id, "/data/seed")),
    ...(await read(id, "/data/deep/bind")),
    ...(await read(id, "/one")),
  ];
  const expected = ["seed=from the image\n", "bind=", "bind/b=bound", "one=bound"];
  expect(await all()).toEqual(expected);
  await write(id, "/data", await file("into", "created"));
  expect(mountsOf(id)).toEqual([]);
  await engine.containers.start(id);
  expect(await all()).toEqual(expected);
  expect(await read(id, "data/into")).toEqual(["into=created"]);
  await engine.containers.pause(id);
  expect(await all()).toEqual(expected);
  await write(id, "/data/deep/bind", await file("c", "paused"));
  expect(readFileSync(join(bind, "c"), "utf8")).toBe("paused");
  await engine.containers.unpause(id);
  await engine.containers.stop(id, { timeout: 0 });
  await until(() => mountsOf(id).length === 0, "nothing is mounted");
  expect(await read(id, "/data/deep/bind/c")).toEqual(["c=paused"]);
  expect(mountsOf(id)).toEqual([]);
});

test("a tmpfs is seen while it runs; the kernel's file systems and /dev never", async () => {
  const id = await running(script("echo t > /tmp/x; sleep 100"), { Tmpfs: { "/tmp": "" } });
  await until(async () => (await failure(read(id, "/tmp/x"))) === "it worked", "the file is there");
  expect(await read(id, "/tmp/x")).toEqual(["x=t\n"]);
  for (const path of ["/proc/cpuinfo", "/proc/self/", "/sys/kernel", "/dev/null", "/dev/"]) {
    if (path === "/dev/") expect(await read(id, path)).toEqual(["dev="]);
    else expect(await failure(read(id, path))).toBe(`not-found: Could not find the file ${path} in container ${id}`);
  }
  expect(await read(id, "/proc")).toEqual(["proc="]);
  const { bytes } = await engine.containers.readPath(id, "/", never);
  const names: string[] = [];
  for await (const { header } of readTar(bytes)) names.push(String(Buffer.from(header.name)));
  expect(names).toContain("/tmp/x");
  expect(names.filter((name) => /^\/(proc|sys|dev)\/./.test(name))).toEqual([]);
  expect(await failure(write(id, "/proc", await file("x", "")))).toContain("not-found");
});

test("what a path says is where it leads", async () => {
  const id = await running(script("mkdir /d; echo 1 > /d/f; ln -s /d /l; ln -s /d/f /d/up; touch /done; sleep 100"));
  await until(async () => (await failure(read(id, "/done"))) === "it worked", "the files are there");
  const stat = async (path: string) => {
    const { name, linkTarget, mode } = await engine.containers.statPath(id, path, never);
    return `${name} ${(mode >> 12).toString(8)} ${linkTarget}`;
  };
  expect(await stat("/")).toBe("/ 4 ");
  expect(await stat("l")).toBe("l 12 /d");
  expect(await stat("/l/")).toBe("l 4 ");
  expect(await stat("/l/.")).toBe(". 4 ");
  expect(await stat("/l/up")).toBe("up 12 /d/f");
  expect((await read(id, "/l/.")).sort()).toEqual(["./f=1\n", ".=", "./up="].sort());
  expect(await failure(stat("/d/f/x"))).toBe("invalid: lstat /d/f/x: not a directory");
  expect(await failure(stat("/d/none"))).toBe(`not-found: Could not find the file /d/none in container ${id}`);
  expect(await failure(engine.containers.statPath("nobody", "/", never))).toBe("not-found: No such container: nobody");
});

test("an archive is unpacked with its owners, or those of the container's user", async () => {
  const id = await running(script("sleep 100", { User: "app" }));
  await write(id, "/tmp", await file("a/own", "1", { mode: 0o4750 }));
  await write(id, "/tmp", await file("given", "2"), { copyUidGid: true });
  const { bytes } = await engine.containers.readPath(id, "/tmp/.", never);
  const found = (await readAll(bytes)).map(
    ({ name, uid, gid, mode }) => `${Buffer.from(name)} ${uid}:${gid} ${mode.toString(8)}`,
  );
  expect(found).toEqual([". 0:0 1777", "./a 0:0 755", "./a/own 5:6 4750", "./given 1000:1001 644"]);
});

test("archives compressed in every way that Docker takes", async () => {
  const id = await made({});
  const tar = await file("packed", "yes");
  const by = async (program: string) => await new Response(Bun.spawn([program, "-c"], { stdin: tar }).stdout).bytes();
  for (const packed of [
    await collect(compress(fromBuffer(tar), "gzip"), 1 << 20),
    await collect(compress(fromBuffer(tar), "zstd"), 1 << 20),
    await by("xz"),
    await by("bzip2"),
  ]) {
    await write(id, "/tmp", packed);
    expect(await read(id, "/tmp/packed")).toEqual(["packed=yes"]);
    await engine.containers.writePath(id, "/tmp", { ...plain, bytes: fromBuffer(await file("packed", "no")) });
    expect(await failure(write(id, "/tmp", packed.subarray(0, packed.length - 20)))).toStartWith("invalid: ");
  }
  await write(id, "/tmp", new Uint8Array());
  expect(await failure(write(id, "/tmp", Buffer.alloc(600, "x")))).toStartWith("invalid: Bad tar archive");
});

test("what cannot be written to is refused in Docker's words", async () => {
  const id = await made({}, { ReadonlyRootfs: true, Binds: ["vol:/data:ro", "other:/data/rw"] });
  const tar = await file("x", "");
  const check = async () => {
    expect(await failure(write(id, "/tmp", tar))).toBe("forbidden: container rootfs is marked read-only");
    expect(await failure(write(id, "/data", tar))).toBe("forbidden: mounted volume is marked read-only");
    expect(await failure(write(id, "/etc/../data/.", tar))).toBe("forbidden: mounted volume is marked read-only");
    await write(id, "/data/rw", tar);
    expect(await failure(write(id, "/none", tar))).toBe(`not-found: Could not find the file /none in container ${id}`);
    expect(await failure(write(id, "/etc/passwd", tar))).toBe("invalid: extraction point is not a directory");
  };
  await check();
  await engine.containers.start(id);
  await check();
});

test("directories and other things replace each other only where that is allowed", async () => {
  const id = await made({});
  await write(id, "/tmp", await file("d/f", "old"));
  const strict = { noOverwriteDirNonDir: true };
  const directory = await file("d/f", "", { type: "directory", size: 0n });
  expect(await failure(write(id, "/tmp", await file("d", "x"), strict))).toBe(
    'invalid: cannot overwrite directory "/tmp/d" with non-directory "/tmp"',
  );
  expect(await failure(write(id, "/tmp", directory, strict))).toBe(
    'invalid: cannot overwrite non-directory "/tmp/d/f" with directory "/tmp"',
  );
  await write(id, "/tmp", await file("d/f", "new"), strict);
  expect(await read(id, "/tmp/d/f")).toEqual(["f=new"]);
  await write(id, "/tmp", directory);
  await write(id, "/tmp", await file("d", "x"));
  expect(await read(id, "/tmp/d")).toEqual(["d=x"]);
});

test("names that lead out are refused; symlinks lead no further than the container's root", async () => {
  const id = await made({});
  const link = (name: string, to: string, type: "symlink" | "hardlink" = "symlink") =>
    file(name, "", { type, linkname: Buffer.from(to) });
  expect(await failure(write(id, "/tmp", await file("../out", "x")))).toContain('"../out" is outside of "/tmp"');
  expect(await failure(write(id, "/tmp", await file("a/../../out", "x")))).toContain("is outside of");
  expect(await failure(write(id, "/tmp", await link("h", "../etc/passwd", "hardlink")))).toContain("is outside of");
  expect(await failure(write(id, "/tmp", await link("h", "/etc/passwd", "hardlink")))).toContain("not there");
  await write(id, "/tmp", await link("escape", engine.directory));
  await write(id, "/tmp", await link("up", "../../../../../../../../.."));
  await write(id, "/tmp", await file("escape/evil", "x"));
  await write(id, "/tmp", await file("up/evil", "x"));
  expect(existsSync(join(engine.directory, "evil"))).toBe(false);
  expect(existsSync("/evil")).toBe(false);
  expect(await read(id, "/evil")).toEqual(["evil=x"]);
  expect(await read(id, `${engine.directory}/evil`)).toEqual(["evil=x"]);
});

test("links of /proc to other roots are not followed, though the container has the host's processes", async () => {
  const link = `ln -s /proc/${process.pid}/root /out; touch /done; sleep 100`;
  const id = await running(script(link), { PidMode: "host", Binds: ["/proc:/host/proc"] });
  await until(async () => (await failure(read(id, "/done"))) === "it worked", "the link is there");
  for (const path of ["/out", `/proc/${process.pid}/root`, `/host/proc/${process.pid}/root`]) {
    expect(await failure(read(id, `${path}/etc/passwd`))).not.toBe("it worked");
    expect(await failure(write(id, `${path}${engine.directory}`, await file("evil", "x")))).not.toBe("it worked");
  }
  expect(existsSync(join(engine.directory, "evil"))).toBe(false);
});

test("a process that has another root than its container changes nothing", async () => {
  const id = await running(
    script(
      "mkdir -p /jail/bin; busybox cp /bin/busybox /jail/bin; exec /bin/busybox chroot /jail /bin/busybox sleep 100",
    ),
    {},
  );
  const there = () => failure(engine.containers.statPath(id, "/jail/bin/busybox", never));
  await until(async () => (await there()) === "it worked", "the jail is there");
  expect(await read(id, "/data/seed")).toEqual(["seed=from the image\n"]);
});

test("a directory inside a volume stays that directory, whoever puts a symlink in its place", async () => {
  const outside = join(engine.directory, "elsewhere");
  mkdirSync(outside);
  writeFileSync(join(outside, "file"), "SECRET of the host");
  const writer = await made({}, { Binds: ["shared:/data"] });
  const { Mounts } = await engine.containers.inspect(writer, false);
  const volume = Mounts[0]?.Source ?? "";
  await using _swapper = await startSwapper(volume, { target: outside, text: "inside" });
  const mount = { Type: "volume", Source: "shared", Target: "/sub", VolumeOptions: { Subpath: "dir" } };
  const outcomes = new Set<string>();
  for (let attempt = 0; attempt < 12; attempt++) {
    const id = await made({}, { Mounts: [mount as never] });
    const copied = await read(id, "/sub/file").then(String, () => "not copied");
    const output = await run(engine, script("cat /sub/file"), { Mounts: [mount as never] }).then(
      ({ id: ran, stdout }) =>
        engine.containers.remove(ran, { force: true, volumes: false, link: false }).then(() => stdout),
      (err: Error) => `not started: ${err.message.slice(0, 400)}`,
    );
    expect(copied + output).not.toContain("SECRET");
    for (const outcome of [copied, output]) outcomes.add(outcome);
    await engine.containers.remove(id, { force: true, volumes: false, link: false });
  }
  expect([...outcomes]).toContain("file=inside");
  expect([...outcomes]).toContain("inside");
}, 120_000);

test("devices, FIFOs and sockets are described, never opened, and nothing blocks", async () => {
  const id = await running(
    script("mkdir /n; cd /n; mkfifo pipe; mknod null c 1 3; mknod disk b 8 0; nc -lU sock & touch /done; sleep 100"),
  );
  await until(async () => (await failure(read(id, "/done"))) === "it worked", "the files are there");
  const { bytes } = await engine.containers.readPath(id, "/n", never);
  const kinds = (await readAll(bytes)).map(({ name, type, major }) => `${Buffer.from(name)} ${type} ${major ?? ""}`);
  expect(kinds).toEqual(["n directory ", "n/disk block 8", "n/null character 1", "n/pipe fifo "]);
  await write(id, "/n", await file("pipe", "no pipe any more"));
  expect(await read(id, "/n/pipe")).toEqual(["pipe=no pipe any more"]);
});

test("a sparse file of 10 GB takes no memory, and who leaves stops it", async () => {
  const id = await running(script("dd if=/dev/zero of=/tmp/big bs=1 count=0 seek=10737418240; touch /done; sleep 100"));
  await until(async () => (await failure(read(id, "/done"))) === "it worked", "the file is there");
  const before = process.memoryUsage.rss();
  const { stat, bytes } = await engine.containers.readPath(id, "/tmp/big", never);
  expect(stat.size).toBe(10 * 2 ** 30);
  let seen = 0;
  for await (const piece of bytes) {
    seen += piece.length;
    if (seen > 1_000_000_000) break;
  }
  expect(process.memoryUsage.rss() - before).toBeLessThan(300_000_000); // what the collector has not come to yet
});

test("a reader that leaves lets go of a container that does not run", async () => {
  const id = await made(script("true"));
  const leaving = new AbortController();
  const { bytes } = await engine.containers.readPath(id, "/bin", leaving.signal);
  expect(mountsOf(id).length).toBeGreaterThan(0);
  leaving.abort();
  await until(() => mountsOf(id).length === 0, "nothing is mounted");
  await engine.containers.start(id);
  expect(await failure(collect(bytes, 1 << 26))).not.toBe("it worked");
});

test("a sender that leaves in the middle leaves no half file, no mount and no lock", async () => {
  const id = await made(script("true"));
  const tar = await file("big", "x".repeat(900_000));
  const broken = async function* () {
    yield tar.subarray(0, 600_000);
    await Promise.resolve();
    throw new Error("the client has gone");
  };
  expect(await failure(engine.containers.writePath(id, "/tmp", { ...plain, bytes: broken() }))).toContain("has gone");
  expect(await read(id, "/tmp")).toEqual(["tmp="]);
  expect(mountsOf(id)).toEqual([]);
  await engine.containers.start(id);
});

test("a container that exchanges a directory for a symlink while it is copied shows and takes nothing of the host's", async () => {
  const outside = join(engine.directory, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "file"), "SECRET of the host");
  const id = await running(script("mkdir /work; sleep 1000"));
  await until(async () => (await failure(read(id, "/work"))) === "it worked", "the directory is there");
  // The same mount as the container's own processes have.
  const work = join(engine.directory, "exec/rootfs", id, "work");
  await using _swapper = await startSwapper(work, { target: outside, text: "inside" });
  const outcomes = new Set<string>();
  for (let attempt = 0; attempt < 60; attempt++) {
    const text = await read(id, attempt % 2 ? "/work" : "/work/dir/file").then(String, (err: Error) => err.message);
    expect(text).not.toContain("SECRET");
    outcomes.add(text.includes("inside") ? "found" : "not");
    const path = attempt % 2 ? "/work/dir" : "/work";
    const put = await failure(write(id, path, await file(attempt % 2 ? "new" : "dir/new", "x")));
    outcomes.add(put === "it worked" ? "written" : "refused");
  }
  expect([...outcomes].sort()).toEqual(["found", "not", "refused", "written"]);
  expect(readdirSync(outside)).toEqual(["file"]);
  expect(readFileSync(join(outside, "file"), "utf8")).toBe("SECRET of the host");
}, 120_000);

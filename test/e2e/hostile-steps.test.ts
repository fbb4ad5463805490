import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { buildOf, nothingIsLeftOfBuilds, whileAnswering } from "../support/builds.ts";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { residentMiB } from "../support/memory.ts";
import { type Entry, tar } from "../support/tar.ts";

/** Whatever a step does, it ends with the step, and only its layer remains. */
let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());
afterEach(() => nothingIsLeftOfBuilds(engine));

const on = (which: Engine, lines: readonly string[], files: readonly Entry[] = [], query = "") =>
  buildOf(which, [{ name: "Dockerfile", data: `${lines.join("\n")}\n` }, ...files], query);
const build = (lines: readonly string[], files: readonly Entry[] = [], query = "") =>
  on(engine, ["FROM busybox", ...lines], files, query);

describe("processes", () => {
  const ulimits = `&ulimits=${encodeURIComponent(JSON.stringify([{ Name: "nproc", Soft: 100, Hard: 100 }]))}`;

  test("are counted, and no more than 4096 unless --ulimit nproc says otherwise", async () => {
    const limit = "RUN cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null; true";
    expect((await build([limit])).said).toContain("\n4096\n");
    expect((await build([limit], [], ulimits)).said).toContain("\n100\n");
  });

  test("that multiply are refused, and end with their step", async () => {
    const bomb = "RUN while :; do (while :; do sleep 1000 & done) & done";
    const { said } = await whileAnswering(engine, build([bomb], [], ulimits));
    expect(said).toContain("can't fork: Resource temporarily unavailable");
    expect(said).toMatch(/returned a non-zero code: \d+$/);
  });

  test("that stay behind hold nobody up", async () => {
    const daemons =
      "RUN setsid sleep 1000 & (trap '' TERM HUP; setsid nohup sleep 1000 &) ; mkfifo /p; (cat /p &); echo bye";
    expect((await build([daemons])).said).toContain("Successfully built");
  });
});

test("gigabytes of output are clipped, cost no memory, and hold nobody up", async () => {
  const line = "RUN dd if=/dev/zero bs=1M count=1024 2>/dev/null; echo end";
  const { text, said } = await whileAnswering(engine, build([line]));
  expect(said).toContain("\n[output clipped, log limit 2MiB reached]\n");
  expect(said).toContain("Successfully built");
  expect(text.length).toBeLessThan(20 * 1024 * 1024); // six characters for a zero byte
  expect(residentMiB(engine.pid)).toBeLessThan(600);
});

test("network files, mounts and devices are the step's own, or refused", async () => {
  const before = readFileSync("/etc/resolv.conf", "utf8");
  const { said } = await build([
    "RUN echo 'nameserver 6.6.6.6' > /etc/resolv.conf; echo 6.6.6.6 evil >> /etc/hosts; rm -f /etc/resolv.conf; true",
    "RUN ! grep 6.6.6.6 /etc/resolv.conf /etc/hosts && echo fresh",
    "RUN mkdir -p /m; mount -t tmpfs x /m || mount --bind / /m || umount /proc || echo refused",
    "RUN mknod /n b 8 0; head -c 1 /n || echo no device",
  ]);
  expect(said).toMatch(/fresh\n[\s\S]*refused\n[\s\S]*no device\n[\s\S]*Successfully built/);
  expect(readFileSync("/etc/resolv.conf", "utf8")).toBe(before);
});

test("sockets go, pipes stay", async () => {
  const { said } = await build(["RUN (timeout 1 nc -lU /sock || true); mkfifo /p", "RUN ls -l /p && echo ok"]);
  expect(said).toContain("ok\n");
});

test("a terabyte of nothing is copied as such, and refused as a layer", async () => {
  const terabyte = 1024 ** 4;
  const copied = await whileAnswering(
    engine,
    on(engine, [
      "FROM busybox AS a",
      `RUN truncate -s ${terabyte} /big && echo end >> /big`,
      "FROM busybox AS b",
      "COPY --from=a /big /big",
      "RUN du -m /big; tail -c 4 /big",
      "FROM busybox",
      "COPY --from=b /etc/passwd /x",
    ]),
  );
  expect(copied.said).toMatch(/\n[01]\t\/big\nend\n[\s\S]*Successfully built/);
  const { said } = await build([`RUN truncate -s ${terabyte} /big`]);
  expect(said).toMatch(/no space left on device: "big" takes 1099511627776 bytes in a layer, holes included/);
});

test("names that would be deletions are refused in a layer", async () => {
  const files = [{ name: ".wh.passwd", data: "x" }];
  for (const line of ["COPY . /etc/", "RUN touch /etc/.wh.passwd", "RUN mkdir /etc/x && touch /etc/x/.wh..wh..opq"])
    expect((await build([line], files)).said).toMatch(
      /A layer cannot hold a file named "\.wh\..*it would mean a deletion$/,
    );
});

describe("on a small disk", () => {
  let small: Engine;
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync("/tmp/berth-e2e-small-");
    mkdirSync(`${root}/data`);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "berth-small", `${root}/data`]);
    small = await startEngine(["--data-root", `${root}/data`]);
    await importBusybox(small);
  });
  afterAll(async () => {
    try {
      await small[Symbol.asyncDispose]();
    } finally {
      execFileSync("umount", ["-l", `${root}/data`]);
    }
    rmSync(root, { recursive: true });
  });
  afterEach(async () => {
    const { said } = await on(small, ["FROM busybox", "RUN echo goes on"]);
    expect(said).toContain("goes on\n");
    await nothingIsLeftOfBuilds(small);
    await small.docker("builder", "prune", "-a", "-f");
  });

  const zeroes = (mebibytes: number) => new Uint8Array(mebibytes << 20);

  test("a step that fills it fails, and the daemon goes on", async () => {
    const { said } = await on(small, ["FROM busybox", "RUN dd if=/dev/zero of=/big bs=1M"]);
    expect(said).toContain("No space left on device");
    expect(said).toMatch(/returned a non-zero code: 1$/);
  });

  test("so does one that fills it by a cache mount, which can be pruned", async () => {
    const { said } = await on(small, [
      "FROM busybox",
      "RUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/big bs=1M",
    ]);
    expect(said).toMatch(/No space left on device[\s\S]*returned a non-zero code: 1$/);
    await small.ok("builder", "prune", "-a", "-f");
  });

  test.each(["gzip", "zstd", "xz", "bzip2"])("an archive that grows in ADD does too, with %s", async (program) => {
    const archive = tar({ name: "big", data: zeroes(100) });
    const bomb =
      program === "zstd" ? Bun.zstdCompressSync(archive) : Bun.spawnSync([program, "-c"], { stdin: archive }).stdout;
    const { said } = await on(small, ["FROM busybox", "ADD bomb /x/"], [{ name: "bomb", data: bomb }]);
    expect(said).toMatch(/no space left on device/i);
  });

  test("and a context, compressed or not, a copy, and a layer", async () => {
    const plain = await on(small, ["FROM busybox", "COPY . /x/"], [{ name: "big", data: zeroes(100) }]);
    expect([plain.status >= 500, plain.said]).toEqual([true, expect.stringMatching(/no space left on device/i)]);
    const copied = await on(
      small,
      ["FROM busybox AS a", "COPY big /a", "FROM a", "RUN cp /a /b"],
      [{ name: "big", data: zeroes(25) }],
    );
    expect(copied.said).toMatch(/no space left on device/i);
  });
});

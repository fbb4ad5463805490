import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dial } from "../support/api.ts";
import { nothingIsLeftOfBuilds } from "../support/builds.ts";
import { berth, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { gzipLayer, importBusybox, ociLayout } from "../support/images.ts";
import { startRegistry } from "../support/registry.ts";
import { tar } from "../support/tar.ts";
import { until } from "../support/until.ts";

/** A build whose client or whose daemon goes away leaves nothing but the steps that it had finished. */
let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

let contexts = 0;
function context(files: Readonly<Record<string, string>>): string {
  const directory = `${engine.directory}/interrupted${contexts++}`;
  mkdirSync(directory);
  for (const [name, text] of Object.entries(files)) writeFileSync(`${directory}/${name}`, text);
  return directory;
}

/** A build on its way, once it has said a word. */
async function building(which: "docker" | "berth", directory: string, word: string) {
  const argv = [which === "docker" ? "docker" : berth, "build", "-t", "made", directory];
  const child = Bun.spawn(argv, { env: cliEnv(engine.host), stdout: "pipe", stderr: "ignore" });
  let said = "";
  const reading = (async () => {
    for await (const piece of child.stdout) said += Buffer.from(piece);
  })();
  await until(
    () => `the build says ${word}: ${said}`,
    () => said.includes(word) || child.exitCode !== null,
  );
  return { child, ended: () => reading.then(() => child.exited), said: () => said };
}

/** Half of a request's body, and no more. */
async function halfSent(): Promise<Awaited<ReturnType<typeof dial>>> {
  const socket = await dial(engine);
  const body = tar({ name: "Dockerfile", data: "FROM busybox\n" }, { name: "big", data: new Uint8Array(8 << 20) });
  const head = `POST /build HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-tar\r\nContent-Length: ${body.length}\r\n\r\n`;
  socket.on("error", () => undefined).write(head);
  socket.write(body.subarray(0, body.length / 2));
  const place = `${engine.directory}/data/builds/contexts`;
  await until("some of it is there", () => readdirSync(place).length > 0);
  return socket;
}

const entries = (path: string) => readdirSync(path, { recursive: true }).length;
const mark = (text: string) => `RUN --mount=type=cache,target=/ran echo ${text} >> /ran/${text}`;

describe("a client that goes away", () => {
  test.each(["docker", "berth"] as const)("takes its step with it, by Ctrl-C of %s", async (which) => {
    const directory = context({ Dockerfile: `FROM busybox\nRUN echo begun ${which}; trap '' INT TERM; sleep 1000` });
    const { child, ended } = await building(which, directory, `begun ${which}\n`);
    child.kill("SIGINT");
    expect(await ended()).not.toBe(0);
    await nothingIsLeftOfBuilds(engine);
  });

  test("in the middle of its context", async () => {
    (await halfSent()).destroy();
    await nothingIsLeftOfBuilds(engine);
  });

  test("leaves a step to another build that waits for it", async () => {
    const Dockerfile = `FROM busybox\n${mark("shared")}; echo begun; while [ ! -e /ran/go ]; do usleep 10000; done`;
    const one = await building("berth", context({ Dockerfile }), "begun\n");
    const two = await building("berth", context({ Dockerfile }), "Step 2/2");
    await Bun.sleep(300); // nothing tells that it waits
    one.child.kill("SIGINT");
    await one.ended();
    const go = "FROM busybox\nRUN --mount=type=cache,target=/ran touch /ran/go && cat /ran/shared";
    const { stdout } = await cli("berth", engine.host, ["build", "--no-cache", context({ Dockerfile: go })]);
    expect(await two.ended()).toBe(0);
    expect(stdout.match(/^shared$/gm)).toHaveLength(1);
    await nothingIsLeftOfBuilds(engine);
  });
});

describe("a daemon that is killed", () => {
  const dieAndCome = async () => {
    await engine.stop("SIGKILL");
    await engine.start();
    await nothingIsLeftOfBuilds(engine);
  };

  test("in the middle of a context", async () => {
    await halfSent();
    await dieAndCome();
  });

  test("in the middle of a step: what was finished is not done again", async () => {
    const first = "FROM busybox\nCOPY f /f\nRUN cat /proc/sys/kernel/random/uuid > /id\n";
    const directory = context({ Dockerfile: `${first}RUN echo begun; setsid sleep 98765 & sleep 1000`, f: "f" });
    const { ended } = await building("berth", directory, "begun\n");
    await dieAndCome();
    expect(await ended()).not.toBe(0);
    expect(Bun.spawnSync(["pgrep", "-f", "sleep 98765"]).stdout.toString()).toBe("");
    writeFileSync(`${directory}/Dockerfile`, `${first}RUN echo ended`);
    const { stdout, code } = await cli("docker", engine.host, ["build", "-t", "made", directory]);
    expect([code, stdout.match(/Using cache/g)?.length]).toEqual([0, 2]);
  });

  test("at any moment of pulls, copies, steps and packing", async () => {
    await using registry = await startRegistry();
    await engine[Symbol.asyncDispose]();
    engine = await startEngine(["--insecure-registry", registry.host]);
    await importBusybox(engine);
    const files = Array.from({ length: 200 }, (_, index) => ({ name: `f${index}`, data: "x".repeat(20_000) }));
    const base = `${registry.host}/base:1`;
    await cli("docker", engine.host, ["load"], { stdin: ociLayout("base", [gzipLayer(tar(...files))]) });
    await engine.ok("tag", "base", base);
    await engine.ok("push", base);
    await engine.ok("rmi", base, "base");
    const Dockerfile = [
      `FROM ${base} AS pulled`,
      "FROM busybox AS copied",
      "COPY . /x/",
      "FROM busybox",
      "COPY --from=pulled / /y/",
      "COPY --from=copied /x /x",
      "RUN cp -r /y /z",
      "RUN rm -r /y",
    ].join("\n");
    const directory = context({ Dockerfile, ...Object.fromEntries(files.map(({ name, data }) => [name, data])) });
    const build = () => cli("berth", engine.host, ["build", "-t", "made", directory]);
    const clean = async () => {
      await engine.docker("rmi", "-f", "made", base);
      await engine.ok("builder", "prune", "-a", "-f");
      return ["snapshots/s", "content"].map((name) => entries(`${engine.directory}/data/${name}`));
    };
    const empty = await clean();
    const started = performance.now();
    expect((await build()).code).toBe(0);
    const whole = performance.now() - started;
    for (let round = 1; round <= 8; round++) {
      expect(await clean()).toEqual(empty);
      const running = build();
      await Bun.sleep((whole * round) / 9);
      await dieAndCome();
      await running;
      const { code, stderr } = await build();
      expect([code, stderr]).toEqual([0, expect.any(String)]);
      expect(await engine.ok("run", "--rm", "made", "sh", "-c", "ls /x /z | wc -l")).toBe("404");
    }
    expect(await clean()).toEqual(empty);
  });
});

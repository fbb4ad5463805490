import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import type { Index } from "../../src/oci/mod.ts";
import { contextsIn } from "../support/contexts.ts";
import { berth, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { startRegistry } from "../support/registry.ts";
import { until } from "../support/until.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const context = contextsIn(() => engine);

const build = (argv: readonly string[], stdin?: string) =>
  cli("berth", engine.host, ["build", ...argv], stdin === undefined ? {} : { stdin });
const images = () => engine.ok("images", "-aq", "--no-trunc");
const containers = () => engine.ok("ps", "-aq");

describe("--output", () => {
  const directory = () => context({ Dockerfile: "FROM scratch\nCOPY f /d/f", f: "F" });

  test("files in a directory, and as a tar archive; nothing else is left", async () => {
    const before = await images();
    const out = `${engine.directory}/out`;
    expect(await build(["-o", out, directory()])).toMatchObject({ code: 0 });
    expect(readFileSync(`${out}/d/f`, "utf8")).toBe("F");
    const tar = Bun.spawnSync([berth, "build", "-o", "-", directory()], { env: cliEnv(engine.host) });
    const listed = Bun.spawnSync(["tar", "-t"], { stdin: tar.stdout });
    expect(listed.stdout.toString().split("\n")).toContain("d/f");
    expect([await images(), await containers()]).toEqual([before, ""]);
  });

  test.each(["oci", "docker"])("an image of type %s comes back by load", async (type) => {
    const dest = `${engine.directory}/${type}.tar`;
    expect(await build(["-t", `out:${type}`, "-o", `type=${type},dest=${dest}`, directory()])).toMatchObject({
      code: 0,
    });
    await engine.ok("rmi", `out:${type}`);
    expect(await engine.ok("load", "-i", dest)).toContain(`out:${type}`);
  });

  test("several at once: a layout, files, and a push whose digest the metadata has", async () => {
    await using registry = await startRegistry();
    const [out, layout, metadata] = ["several", "layout", "metadata2"].map((name) => `${engine.directory}/${name}`);
    const name = `${registry.host}/team/app:1`;
    const outputs = ["-o", `type=local,dest=${out}`, "-o", `type=oci,tar=false,dest=${layout}`];
    const push = ["-o", `type=registry,name=${name}`, "--metadata-file", `${metadata}`];
    const { code, stdout } = await build([...outputs, ...push, directory()]);
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining(`The push refers to repository [${registry.host}/team/app]`),
    ]);
    expect(readFileSync(`${out}/d/f`, "utf8")).toBe("F");
    const { manifests } = JSON.parse(readFileSync(`${layout}/index.json`, "utf8")) as Index;
    expect(existsSync(`${layout}/blobs/${manifests[0]?.digest.replace(":", "/")}`)).toBe(true);
    const answer = await fetch(`http://${registry.host}/v2/team/app/manifests/1`);
    const told = { "containerimage.digest": answer.headers.get("docker-content-digest"), "image.name": name };
    expect(JSON.parse(readFileSync(`${metadata}`, "utf8"))).toMatchObject(told);
    expect((await build(["-q", "--push", "-t", `${registry.host}/team/app:2`, directory()])).stdout).toMatch(
      /^sha256:\w+\n$/,
    );
    expect((await fetch(`http://${registry.host}/v2/team/app/manifests/2`)).status).toBe(200);
    expect((await build(["--push", directory()])).stderr).toContain("tag is needed when pushing to registry");
  });

  test("what is not there is refused by its name", async () => {
    for (const [output, told] of [
      ["type=cloud", "type=cloud is not supported"],
      ["type=registry,push-by-digest=true", "push-by-digest is not supported"],
      ["type=oci,tar=false", "needs dest=DIR"],
      ["type=image,push=perhaps", "push=perhaps: true or false"],
      ["type=local", "needs dest=DIR"],
      ["type=oci,compression=zstd", "compression is not supported"],
    ] as const) {
      const { code, stderr } = await build(["-o", output, directory()]);
      expect([code, stderr]).toEqual([125, expect.stringContaining(told)]);
    }
    for (const [flag, told] of [
      ["--platform=linux/amd64,linux/arm64", "Multi-platform build is not supported"],
      [
        "--allow=security.insecure",
        "granting entitlement security.insecure is not allowed by build daemon configuration",
      ],
      ["--allow=all", 'unknown entitlement "all"'],
      ["--annotation=a=b", "--annotation a=b is not implemented by Berth"],
      ["--call=walk", "one of build, check, outline, targets"],
      ["--call=check,format=xml", "format=text or json"],
      ["--build-context=x=oci-layout:///nowhere", "/nowhere/index.json"],
      ["--build-context=x=oci-layout:///nowhere@sha256:0", "sha256:0 is no digest"],
    ] as const) {
      const { code, stderr } = await build([...flag.split(" "), directory()]);
      expect([code === 0, stderr]).toEqual([false, expect.stringContaining(told)]);
    }
    const both = await build(["--no-cache", "--no-cache-filter=a", directory()]);
    expect(both.stderr).toContain("--no-cache and --no-cache-filter cannot currently be used together");
  });

  test("--metadata-file and --iidfile", async () => {
    const [metadata, iid] = [`${engine.directory}/metadata`, `${engine.directory}/iid`];
    const argv = ["-q", "-t", "told:1", "--metadata-file", metadata, "--iidfile", iid, directory()];
    const id = (await build(argv)).stdout.trim();
    expect(readFileSync(iid, "utf8")).toBe(id);
    const told = { "containerimage.config.digest": id, "image.name": "told:1" };
    expect(JSON.parse(readFileSync(metadata, "utf8"))).toEqual(told);
  });
});

describe("a RUN that fails", () => {
  const failing = () =>
    context({ Dockerfile: "FROM busybox\nENV A=b\nWORKDIR /w\nRUN echo left > f; echo said; exit 3" });

  test("shows what it said and its status, and how to look", async () => {
    const { code, stdout, stderr } = await build([failing()]);
    expect([code, stdout]).toEqual([3, expect.stringContaining("Step 4/4 : RUN echo left > f; echo said; exit 3")]);
    expect(stdout).toContain("said\n");
    expect(stderr).toContain("returned a non-zero code: 3\nFor a shell where it failed, build with --on-error=shell.");
  });

  test("--on-error=shell: its files, directory and variables; nothing is left", async () => {
    const before = await images();
    const { code, stdout } = await build(["--on-error", "shell", failing()], "pwd; cat f; echo $A\n");
    expect([code, stdout]).toEqual([3, expect.stringMatching(/\/w\nleft\nb\n$/)]);
    expect([await images(), await containers()]).toEqual([before, ""]);
  });
});

describe("a context that was sent before", () => {
  /** More files than it is worth to send each time, none of them just written. */
  function many(): string {
    const files = Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`src/f${index}`, `${index}\n`]));
    return context({ Dockerfile: "FROM busybox\nCOPY src /src\nRUN cat /src/f7", ...files });
  }

  test("builds from what is kept and what changed", async () => {
    const directory = many();
    const first = await build(["-t", "many", directory]);
    expect([first.code, first.stdout]).toEqual([0, expect.stringContaining("\n7\n")]);
    await Bun.sleep(2100); // until then files may change without their times telling
    expect((await build(["-t", "many", directory])).stdout).toContain("Using cache");
    writeFileSync(`${directory}/src/f7`, "new\n");
    utimesSync(`${directory}/src/f8`, 1, 1);
    const explained = await build(["--explain", "-t", "many", directory]);
    expect(explained.stdout).toContain(" ---> Not cached: changed: f7\n");
    expect(explained.stdout).toContain("\nnew\n");
    expect(await engine.ok("run", "--rm", "many", "cat", "/src/f7", "/src/f9")).toBe("new\n9");
    expect((await cli("berth", engine.host, ["builder", "du"])).stdout).toMatch(/^Build cache usage: .*source\.local/s);
    await engine.ok("builder", "prune", "-f", "--filter", "type=source.local");
    expect(await engine.ok("system", "df", "-v")).not.toContain("source.local");
    expect((await build(["-q", directory])).code).toBe(0);
  });
});

describe("the screen", () => {
  const directory = () => context({ Dockerfile: "FROM busybox\nRUN echo hello; sleep 0.4" });
  /** What a terminal gets. */
  const typed = (argv: readonly string[], env: Record<string, string> = {}) => {
    const command = [berth, "build", "--no-cache", ...argv].map((word) => `'${word}'`).join(" ");
    const child = Bun.spawnSync(["script", "-qec", command, "/dev/null"], {
      env: { ...cliEnv(engine.host), TERM: "xterm", NO_COLOR: "", ...env },
      stdin: "ignore",
    });
    return child.stdout.toString();
  };

  test("a terminal gets all steps, redrawn in place, and a total; NO_COLOR is heard", () => {
    const shown = typed([directory()]);
    expect(shown).toContain(" => => hello");
    expect(shown).toMatch(/\[\+\] Built \d+\.\ds \(2\/2, 1 cached\)/);
    expect(shown).toContain("\x1b[36m");
    expect(shown).toContain("Successfully built ");
    const plain = typed([directory()], { NO_COLOR: "1" });
    expect(plain).toMatch(/\x1b\[\d+A/);
    expect(plain).not.toMatch(/\x1b\[\d+m/);
    expect(typed(["--progress", "plain", directory()])).toContain("Step 2/2 : RUN echo hello");
  });

  test("--progress=rawjson has every message", async () => {
    const { stderr, code } = await build(["--progress", "rawjson", directory()]);
    expect(code).toBe(0);
    const messages = stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { aux?: { Steps?: unknown } });
    expect(messages.some(({ aux }) => aux?.Steps)).toBe(true);
  });
});

test("a build that is cancelled stops its step", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN echo begun; sleep 1000" });
  const child = Bun.spawn([berth, "build", directory], { env: cliEnv(engine.host), stdout: "pipe", stderr: "ignore" });
  for await (const piece of child.stdout) if (Buffer.from(piece).includes("begun")) break;
  child.kill();
  await child.exited;
  const steps = `${engine.directory}/data/builds/work`;
  await until("the step's directory is gone", () => readdirSync(steps).length === 0);
});

test("--no-cache-filter runs the steps of those stages", async () => {
  const uuid = "RUN cat /proc/sys/kernel/random/uuid";
  const text = `FROM busybox AS a\n${uuid} > /a\nFROM busybox AS b\n${uuid} > /b\nFROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n`;
  const directory = context({ Dockerfile: text });
  const ids = async (...more: string[]) => {
    expect(await build(["-q", "-t", "filtered", ...more, directory])).toMatchObject({
      code: 0,
    });
    return (await engine.ok("run", "--rm", "filtered", "cat", "/a", "/b")).split("\n");
  };
  const [a, b] = await ids("--load", "--allow", "network.host");
  const [sameA, otherB] = await ids("--no-cache-filter", "B,none");
  expect([sameA === a, otherB === b]).toEqual([true, false]);
});

test("a context that is a layout in a directory", async () => {
  const layout = `${engine.directory}/context-layout`;
  const made = context({ Dockerfile: "FROM scratch\nCOPY f /f", f: "in a layout" });
  expect((await build(["-q", "-o", `type=oci,tar=false,dest=${layout}`, made])).code).toBe(0);
  const using = context({ Dockerfile: "FROM busybox\nCOPY --from=lib /f /f\n" });
  const named = await build(["-q", "-t", "from-layout", "--build-context", `lib=oci-layout://${layout}`, using]);
  expect(named).toMatchObject({ code: 0, stderr: "" });
  expect(await engine.ok("run", "--rm", "from-layout", "cat", "/f")).toBe("in a layout");
});

test("berth build --call", async () => {
  const text = "ARG WHO=you # whom\n# the tools\nFROM nowhere.invalid/x AS tools\nFROM scratch\nARG WHO\nCOPY x /x\n";
  const directory = context({ Dockerfile: text });
  const call = (...argv: string[]) => build([...argv, directory]);
  expect(await call("--call=targets")).toMatchObject({ code: 0, stdout: expect.stringMatching(/^TARGET .*\ntools\b/) });
  const { stdout } = await call("--call=targets,format=json");
  expect(JSON.parse(stdout).targets[0]).toMatchObject({ name: "tools" });
  expect(await call("--call=outline")).toMatchObject({ code: 0, stdout: expect.stringMatching(/WHO +you/) });
  expect(await call("--call=outline", "--target", "nobody")).toMatchObject({ code: 1 });
  expect(await call("--call=check")).toMatchObject({ code: 0, stdout: expect.stringContaining("no warnings") });
  expect(JSON.parse((await call("--call=lint,format=json")).stdout)).toMatchObject({ Warnings: [] });
});

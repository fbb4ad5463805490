import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { dirname } from "node:path";
import { serveGit } from "../../src/builder/testing/git-server.ts";
import { createHost } from "../../src/host/mod.ts";
import { type CliResult, type Engine, expectOk, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { kernelObjects } from "../support/leaks.ts";
import { type PluginCli, type PluginOptions, pluginCli } from "../support/plugins.ts";
import { freePort } from "../support/registry.ts";
import { until } from "../support/until.ts";

/** docker's own buildx and compose, as they are. */
let engine: Engine;
let docker: PluginCli;
let agent: Server;
beforeAll(async () => {
  engine = await startEngine();
  docker = pluginCli(engine);
  await importBusybox(engine);
  agent = createServer();
  await new Promise<void>((resolve) => agent.listen(`${engine.directory}/agent`, resolve));
});
afterAll(async () => {
  agent?.close();
  await engine[Symbol.asyncDispose]();
});

let contexts = 0;
function context(files: Readonly<Record<string, string>>): string {
  const directory = `${engine.directory}/context${contexts++}`;
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(`${directory}/${name}`), { recursive: true });
    writeFileSync(`${directory}/${name}`, text);
  }
  return directory;
}

/** One that must succeed: what it wrote to either stream. */
async function ok(argv: readonly string[], options: PluginOptions): Promise<string> {
  const result = await docker.run(argv, options);
  expectOk(argv, result);
  return result.stdout + result.stderr;
}
const buildx = (argv: readonly string[], options: PluginOptions): Promise<CliResult> =>
  docker.run(["buildx", "build", "--progress=plain", ...argv], options);
const read = (image: string, path: string) => engine.ok("run", "--rm", image, "cat", path);
const idOf = (image: string) => engine.ok("inspect", "-f", "{{.Id}}", image);
const text = (path: string) => readFileSync(path, "utf8");

const staged = `FROM busybox AS base
ARG WHO=nobody
COPY . /app
RUN echo made for $WHO > /who; ls /app
FROM base AS last
CMD ["cat", "/who"]
`;

describe("docker buildx build", () => {
  test("sends what changed since its last build of the directory, and nothing else", async () => {
    const files = Object.fromEntries(
      Array.from({ length: 300 }, (_, at) => [`d/f${at}`, `content ${at}`.repeat(1000)]),
    );
    const cwd = context({ Dockerfile: "FROM busybox\nCOPY d /d\nRUN rm /d/f7\n", ...files });
    const settle = () => new Promise((resolve) => setTimeout(resolve, 2500)); // younger files are sent anew
    await settle();
    const sent = async () => {
      const said = await ok(["buildx", "build", "--progress=plain", "-t", "bx:changed", "."], { cwd });
      return [...said.matchAll(/transferring context:? ([\d.]+)([a-zA-Z]*)/g)]
        .map(([, size, unit]) => `${size}${unit}`)
        .at(-1);
    };
    expect(await sent()).toMatch(/^3\.\d+MB$/);
    writeFileSync(`${cwd}/d/f8`, "changed");
    rmSync(`${cwd}/d/f9`);
    expect(await sent()).toBe("7B");
    const [list, changed] = await Promise.all([
      engine.ok("run", "--rm", "bx:changed", "ls", "/d"),
      read("bx:changed", "/d/f8"),
    ]);
    expect([list.split("\n").length, list.includes("f9\n"), changed]).toEqual([298, false, "changed"]);
    await settle();
    await sent(); // the one that was too young
    expect(await sent()).toBeUndefined();
  });

  test("sends what .dockerignore leaves, tells every step, labels, and finds the second build in the cache", async () => {
    const cwd = context({
      Dockerfile: staged,
      ".dockerignore": "*.log\nmd\nid\n",
      "big.bin": "x".repeat(9_000_000),
      "a.log": "x",
    });
    const argv = [
      "-t",
      "bx:1",
      "--build-arg",
      "WHO=you",
      "--label",
      "made=here",
      "--metadata-file",
      "md",
      "--iidfile",
      "id",
    ];
    const first = await buildx([...argv, "."], { cwd });
    expect([first.code, first.code === 0 ? "" : first.stderr]).toEqual([0, ""]);
    for (const line of ["load build definition from Dockerfile", "[2/3] COPY . /app", "big.bin", "exporting to image"])
      expect(first.stderr).toContain(line);
    expect(first.stderr).not.toContain("a.log");
    expect(await read("bx:1", "/who")).toBe("made for you");
    const id = await idOf("bx:1");
    expect(text(`${cwd}/id`)).toBe(id);
    expect(JSON.parse(text(`${cwd}/md`))).toMatchObject({ "containerimage.config.digest": id, "image.name": "bx:1" });
    expect(await engine.ok("inspect", "-f", "{{.Config.Labels.made}}", "bx:1")).toBe("here");
    expect((await buildx([...argv, "."], { cwd })).stderr.match(/CACHED/g)?.length).toBe(3);
    expect((await buildx([...argv, "--no-cache", "."], { cwd })).stderr.match(/CACHED/g)?.length ?? 0).toBeLessThan(2);
  });

  test("-q says the image's id alone, --progress=rawjson every status; --target; docker build is the same", async () => {
    const cwd = context({ Dockerfile: staged });
    const quiet = await docker.run(["buildx", "build", "-q", "--target", "base", "-t", "bx:q", "."], { cwd });
    expect([quiet.code, quiet.stdout.trim(), quiet.stderr]).toEqual([0, await idOf("bx:q"), ""]);
    const raw = await docker.run(["buildx", "build", "--progress=rawjson", "."], { cwd });
    expect(raw.stderr).toContain('"name": "[3/3] RUN echo made for $WHO');
    const plain = await docker.run(["build", "-t", "bx:plain", "-f", "-", "."], { cwd, stdin: Buffer.from(staged) });
    expect([plain.code, plain.code === 0 ? "" : plain.stderr]).toEqual([0, ""]);
    expect(await read("bx:plain", "/who")).toBe("made for nobody");
  });

  test("secrets, ssh agents and named contexts", async () => {
    const cwd = context({
      Dockerfile: `FROM small
RUN --mount=type=secret,id=file --mount=type=secret,id=var,env=TOKEN wc -c < /run/secrets/file > /got && echo -n $TOKEN | wc -c >> /got
RUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo agent >> /got
COPY --from=lib /part /part
`,
      key: "hush-hush",
      "lib/part": "a part",
    });
    const asked = [
      "--secret",
      "id=file,src=key",
      "--secret",
      "id=var,env=MINE",
      "--ssh",
      `default=${engine.directory}/agent`,
    ];
    const named = ["--build-context", "lib=lib", "--build-context", "small=docker-image://busybox"];
    const made = await buildx([...asked, ...named, "-t", "bx:asked", "."], { cwd, env: { MINE: "four" } });
    expect([made.code, made.code === 0 ? "" : made.stderr]).toEqual([0, ""]);
    expect(await read("bx:asked", "/got")).toBe("9\n4\nagent");
    expect(await read("bx:asked", "/part")).toBe("a part");
  });

  test("the result as files, their archive, or the image's archive in both forms; --load", async () => {
    const cwd = context({
      Dockerfile:
        "FROM busybox AS b\nRUN mkdir /o && echo made > /o/f && chmod 600 /o/f\nFROM scratch\nCOPY --from=b /o /\n",
    });
    const before = await engine.ok("images", "-aq");
    const made = async (...argv: string[]) => {
      const { code, stderr } = await buildx([...argv, "."], { cwd });
      expect([argv, code, code === 0 ? "" : stderr]).toEqual([argv, 0, ""]);
    };
    await made("-o", "out");
    expect([text(`${cwd}/out/f`), statSync(`${cwd}/out/f`).mode & 0o777]).toEqual(["made\n", 0o600]);
    await made("-o", "type=tar,dest=files.tar");
    expect(Bun.spawnSync(["tar", "-xOf", "files.tar", "f"], { cwd }).stdout.toString()).toBe("made\n");
    for (const type of ["oci", "docker"]) {
      await made("-o", `type=${type},dest=${type}.tar`, "-t", `bx:${type}`);
      const listed = Bun.spawnSync(["tar", "-tf", `${type}.tar`], { cwd })
        .stdout.toString()
        .split("\n");
      expect(listed).toContain("index.json");
    }
    expect(await engine.ok("images", "-aq")).toBe(before);
    await engine.ok("load", "-i", `${cwd}/docker.tar`);
    expect(await idOf("bx:docker")).toStartWith("sha256:");
    await made("--load", "-t", "bx:loaded");
    expect(await idOf("bx:loaded")).toBe(await idOf("bx:docker"));
  });

  test("a step that fails, and a Dockerfile that is none, are told with their place", async () => {
    const cwd = context({
      Dockerfile: "FROM busybox\nRUN echo before; exit 3\n",
      "broken/Dockerfile": "FROM busybox\nRUNN x\n",
    });
    const failed = await buildx(["."], { cwd });
    const words = 'process "/bin/sh -c echo before; exit 3" did not complete successfully: exit code: 3';
    expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining(`failed to solve: ${words}`)]);
    expect(failed.stderr).toContain("before");
    expect((await buildx(["broken"], { cwd })).stderr).toContain("unknown instruction: RUNN");
  });

  test("a Dockerfile of the client's beside a context from elsewhere", async () => {
    const cwd = context({
      "elsewhere/Dockerfile": "FROM none\n",
      "elsewhere/part": "a part",
      "elsewhere/left.log": "left",
      "elsewhere/.dockerignore": "*.log\n",
      "own/Dockerfile": "FROM scratch\nCOPY . /\n",
    });
    const tar = Bun.spawnSync(["tar", "-c", "-C", "elsewhere", "."], { cwd }).stdout;
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(new Uint8Array(tar)) });
    await using repositories = await serveGit(createHost({ workers: { size: 1 } }).processes);
    repositories.repository("app.git", {
      Dockerfile: "FROM none\n",
      part: "a part",
      ".dockerignore": "*.log\n",
      "left.log": "",
    });
    // An archive's maker has left out what is ignored; a repository has everything.
    for (const [remote, expected] of [
      [`http://127.0.0.1:${server.port}/context.tar`, ["Dockerfile", "left.log", "part"]],
      [`${repositories.url}/app.git`, ["Dockerfile", "part"]],
    ] as const) {
      const made = await buildx(["-f", `${cwd}/own/Dockerfile`, "-o", "out", remote], { cwd });
      expect([remote, made.code, made.code === 0 ? "" : made.stderr]).toEqual([remote, 0, ""]);
      const files = readdirSync(`${cwd}/out`).filter((name) => !name.startsWith("."));
      expect([remote, files.sort()]).toEqual([remote, [...expected]]);
      rmSync(`${cwd}/out`, { recursive: true });
    }
  });

  test("--no-cache-filter runs the steps of the stages that it names; --allow as dockerd's builder has it; --pull", async () => {
    const dockerfile =
      "FROM busybox AS one\nRUN cat /proc/sys/kernel/random/uuid > /one\nFROM busybox AS Two\nRUN cat /proc/sys/kernel/random/uuid > /two\nFROM lib\nCOPY --from=one /one /\nCOPY --from=two /two /\n";
    const cwd = context({ Dockerfile: dockerfile, "lib/part": "a part" });
    const made = async (...argv: string[]) => {
      const lib = ["--build-context", "lib=lib"];
      const { code, stderr } = await buildx([...lib, "-t", "bx:filter", ...argv, "."], { cwd });
      expect([argv, code, code === 0 ? "" : stderr]).toEqual([argv, 0, ""]);
      await ok(["buildx", "build", ...lib, "-t", "bx:filter", "-o", "out", "."], { cwd });
      return [text(`${cwd}/out/one`), text(`${cwd}/out/two`)];
    };
    const first = await made("--add-host", "there:10.1.2.3", "--allow", "network.host", "--network", "host");
    const second = await made("--no-cache-filter", "TWO");
    expect([second[0] === first[0], second[1] === first[1]]).toEqual([true, false]);
    const insecure = await buildx(["--allow", "security.insecure", "."], { cwd });
    const refused = "granting entitlement security.insecure is not allowed by build daemon configuration";
    expect([insecure.code, insecure.stderr]).toEqual([1, expect.stringContaining(refused)]);
    const pulled = context({ Dockerfile: "FROM lib\n", "lib/part": "a part" });
    expect((await buildx(["--pull", "--build-context", "lib=lib", "."], { cwd: pulled })).code).toBe(0);
  });

  test("answers what is asked about a Dockerfile, and builds nothing", async () => {
    const text =
      "FROM busybox AS base\n# WHO is greeted\nARG WHO=you\nRUN --mount=type=secret,id=tok true\nFROM base as last\n";
    const cwd = context({ Dockerfile: text });
    const ask = async (what: string, ...argv: string[]) => {
      const options = { cwd, env: { BUILDX_EXPERIMENTAL: "1" } };
      return docker.run(["buildx", "build", `--print=${what}`, ...argv, "."], options);
    };
    const before = await engine.ok("images", "-aq");
    expect((await ask("targets")).stdout).toMatch(/^TARGET +DESCRIPTION\nbase *\nlast \(default\) *\n$/);
    const outlined = JSON.parse((await ask("outline,format=json", "--build-arg", "WHO=me")).stdout);
    const place = (line: number) => ({ ranges: [{ start: { line }, end: { line } }] });
    expect(outlined).toEqual({
      name: "last",
      args: [{ name: "WHO", value: "me", description: "is greeted", location: place(3) }],
      secrets: [{ name: "tok", location: place(4) }],
      sources: [Buffer.from(text).toString("base64")],
    });
    expect((await ask("lint")).stdout).toContain("WARNING: FromAsCasing - https://");
    expect((await ask("subrequests.describe")).stdout).toContain("targets");
    const unknown = await ask("nothing");
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      expect.stringContaining("unsupported request frontend.nothing"),
    ]);
    expect((await ask("outline", "--target", "nope")).stderr).toContain('target stage "nope" could not be found');
    expect(await engine.ok("images", "-aq")).toBe(before);
    expect((await buildx(["."], { cwd })).stderr).toContain("1 warning found");
  });

  test("^C ends the build and what it runs", async () => {
    const cwd = context({ Dockerfile: "FROM busybox\nRUN echo begun; exec sleep 47110815\n" });
    const child = docker.start(["buildx", "build", "--progress=plain", "."], { cwd, leads: true });
    const running = () => Bun.spawnSync(["pgrep", "-xf", "sleep 47110815"]).exitCode === 0;
    await until("the step runs", running);
    process.kill(-child.pid, "SIGINT"); // docker's CLI 20.10 leaves it to the terminal to tell its plugins
    expect(await child.exited).not.toBe(0);
    expect(await new Response(child.stderr).text()).toContain("context canceled");
    await until("the step has ended", () => !running());
  });
});

test("docker buildx bake, ls, inspect, du and prune", async () => {
  const cwd = context({
    Dockerfile: staged,
    "docker-bake.hcl": `group "default" { targets = ["one", "two"] }
target "one" {
  target = "base"
  tags = ["bake:one"]
}
target "two" {
  args = { WHO = "two" }
  tags = ["bake:two"]
}
`,
  });
  await ok(["buildx", "bake", "--progress=plain"], { cwd });
  expect(await read("bake:one", "/who")).toBe("made for nobody");
  expect(await read("bake:two", "/who")).toBe("made for two");
  expect(await ok(["buildx", "ls"], { cwd })).toMatch(/default\S* +docker[\s\S]*running +v\d[\s\S]*linux\//);
  expect(await ok(["buildx", "inspect"], { cwd })).toMatch(
    /Driver: +docker[\s\S]*Status: +running[\s\S]*Platforms: +linux/,
  );
  const used = await ok(["buildx", "du", "--verbose"], { cwd });
  expect(used).toContain("echo made for $WHO > /who");
  expect(await ok(["buildx", "prune", "-af"], { cwd })).toMatch(/Total:\s+[1-9]/);
  expect(await ok(["buildx", "du"], { cwd })).toMatch(/Total:\s+0B/);
});

test("docker buildx with the driver remote, on the socket itself", async () => {
  const cwd = context({ Dockerfile: staged, "a.txt": "a" });
  await ok(["buildx", "create", "--name", "direct", "--driver", "remote", engine.host], { cwd });
  expect(await ok(["buildx", "inspect", "direct"], { cwd })).toMatch(/Status: +running/);
  const to = ["buildx", "build", "--builder", "direct", "--progress=plain"];
  await ok([...to, "--load", "-t", "bxdirect", "."], { cwd });
  expect(await read("bxdirect", "/app/a.txt")).toBe("a");
  await ok([...to, "-o", "out", "."], { cwd });
  expect(text(`${cwd}/out/who`)).toBe("made for nobody\n");
  const failed = await docker.run([...to, "-f", "none", "."], { cwd });
  expect(failed.code).not.toBe(0);
  expect(failed.stderr).toContain("none");
  await ok(["buildx", "rm", "direct"], { cwd });
});

test("docker compose builds a project's images and runs them", async () => {
  const port = await freePort();
  const cwd = context({
    "compose.yaml": `name: bxshop
services:
  web:
    build:
      context: .
      target: last
      args: { WHO: compose }
      labels: { of: compose }
      additional_contexts: { lib: lib }
      secrets: [token]
    ports: ["127.0.0.1:${port}:80"]
    command: httpd -f -h /
  side:
    image: bxside
    build: side
    depends_on: [web]
    command: sleep 1000
secrets:
  token:
    file: ./token
`,
    Dockerfile: `${staged}COPY --from=lib /part /part\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /size\n`,
    "lib/part": "a part",
    token: "hush",
    "side/Dockerfile": "FROM busybox\nRUN echo side > /name\n",
  });
  await ok(["compose", "build"], { cwd });
  expect(await read("bxshop-web", "/size")).toBe("4");
  expect(await engine.ok("inspect", "-f", "{{.Config.Labels.of}}", "bxshop-web")).toBe("compose");
  await ok(["compose", "up", "--build", "-d"], { cwd });
  expect(
    await until("the web server answers", () =>
      fetch(`http://127.0.0.1:${port}/who`).then(
        (a) => a.text(),
        () => "",
      ),
    ),
  ).toBe("made for compose\n");
  expect(await ok(["compose", "exec", "-T", "side", "cat", "/name"], { cwd })).toContain("side");
  expect(await ok(["compose", "ps"], { cwd })).toContain("bxshop-web-1");
  await ok(["compose", "down", "-t", "0"], { cwd });
  expect(await engine.ok("ps", "-aq")).toBe("");
  const tag = await engine.tag();
  const { links, cgroups } = await kernelObjects(tag);
  // The default bridge and namespaces in store stay.
  expect(links.filter((name) => !name.endsWith(tag) && !name.startsWith(`ve${tag}-n`))).toEqual([]);
  expect(cgroups).toEqual([]);
});

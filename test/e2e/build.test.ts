import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { call } from "../support/api.ts";
import { contextsIn } from "../support/contexts.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { freePort } from "../support/registry.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const context = contextsIn(() => engine);

const id = (ref: string) => engine.ok("inspect", "--type", "image", "-f", "{{.Id}}", ref);

describe.each(["docker", "berth"] as const)("%s build", (which) => {
  const build = (...argv: string[]) => cli(which, engine.host, ["build", ...argv]);
  const name = `made-${which}`;

  test("several stages, arguments, globs, and the second time from the cache", async () => {
    const directory = context({
      Dockerfile: `ARG BASE=busybox
FROM \${BASE} AS maker
ARG WHO=nobody
WORKDIR /src
COPY *.txt ./
RUN echo "made for $WHO" > made.out && cat *.txt >> made.out
FROM busybox
LABEL stage=last
ENV GREETING=hello
COPY --from=maker /src/*.out /out/
ENTRYPOINT ["cat"]
CMD ["/out/made.out"]
`,
      "a.txt": `one ${which}\n`,
      "b.txt": "two\n",
      "c.md": "not copied\n",
    });
    const first = await build("-t", name, "--build-arg", "WHO=you", directory);
    expect([first.code, first.stderr]).toEqual([0, expect.any(String)]);
    expect(await engine.ok("run", "--rm", name)).toBe(`made for you\none ${which}\ntwo`);
    const image = await id(name);
    const second = await build("-t", name, "--build-arg", "WHO=you", directory);
    expect(second.stdout + second.stderr).toMatch(/Using cache|CACHED/);
    expect(await id(name)).toBe(image);
    const other = await build("-q", "-t", name, "--build-arg", "WHO=others", directory);
    expect(other.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(await engine.ok("run", "--rm", name)).toStartWith("made for others");
    expect(await id(name)).not.toBe(image);
  });

  test("what changed in the context is built anew, what only looks changed is not", async () => {
    const directory = context({ Dockerfile: "FROM busybox\nCOPY f /f\nRUN cat /f > /g\n", f: `first ${which}` });
    expect((await build("-q", "-t", name, directory)).code).toBe(0);
    const image = await id(name);
    writeFileSync(`${directory}/unused`, "not copied");
    writeFileSync(`${directory}/f`, `first ${which}`);
    expect((await build("-q", "-t", name, directory)).code).toBe(0);
    expect(await id(name)).toBe(image);
    writeFileSync(`${directory}/f`, "second");
    expect((await build("-q", "-t", name, directory)).code).toBe(0);
    expect(await engine.ok("run", "--rm", name, "cat", "/g")).toBe("second");
  });

  test("--target builds only what it needs, --no-cache everything", async () => {
    const directory = context({
      Dockerfile:
        "FROM busybox AS wanted\nRUN cat /proc/sys/kernel/random/uuid > /id\nFROM busybox AS broken\nRUN false\nFROM wanted\nCOPY --from=broken / /\n",
    });
    expect((await build("-q", "-t", name, "--target", "wanted", directory)).code).toBe(0);
    const first = await engine.ok("run", "--rm", name, "cat", "/id");
    expect((await build("-q", "-t", name, "--target", "wanted", directory)).code).toBe(0);
    expect(await engine.ok("run", "--rm", name, "cat", "/id")).toBe(first);
    expect((await build("-q", "-t", name, "--no-cache", "--target", "wanted", directory)).code).toBe(0);
    expect(await engine.ok("run", "--rm", name, "cat", "/id")).not.toBe(first);
    expect((await build("-q", "--target", "nobody", directory)).code).not.toBe(0);
  });

  test("stages that do not need each other run at the same time", async () => {
    // Each waits for what the other writes into a file that both see only if both run.
    const wait = (mine: string, other: string) =>
      `RUN --mount=type=cache,target=/shared touch /shared/${mine}-${which}; i=0; while [ ! -e /shared/${other}-${which} ] && [ $i -lt 1000 ]; do i=$((i+1)); usleep 10000; done; test -e /shared/${other}-${which} && touch /${mine}`;
    const directory = context({
      Dockerfile: `FROM busybox AS a\n${wait("a", "b")}\nFROM busybox AS b\n${wait("b", "a")}\nFROM busybox\nCOPY --from=a /a /\nCOPY --from=b /b /\n`,
    });
    const { code, stderr } = await build("-t", name, directory);
    expect([code, stderr]).toEqual([0, expect.any(String)]);
  });

  test("a RUN that fails ends the build with its status and output, and no image", async () => {
    const directory = context({ Dockerfile: "FROM busybox\nRUN echo told before; exit 42\n" });
    const { code, stdout, stderr } = await build("-t", `never-${which}`, directory);
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain("told before");
    expect(stdout + stderr).toMatch(/returned a non-zero code: 42|exit code: 42/);
    expect((await engine.docker("inspect", "--type", "image", `never-${which}`)).code).toBe(1);
    expect(await engine.ok("ps", "-aq")).toBe("");
  });

  test("an error in the Dockerfile shows its lines and what was meant", async () => {
    const Dockerfile = "FROM busybox AS maker\nRUN true \\\n  && true\nCOPPY a \\\n  b\n";
    const failed = await build("-t", name, context({ Dockerfile }));
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain(
      "dockerfile parse error on line 4: unknown instruction: COPPY (did you mean COPY?)",
    );
    expect(failed.stderr).toContain("Dockerfile:4\n");
    expect(failed.stderr).toContain("   4 | >>> COPPY a \\\n   5 | >>>   b\n");
  });

  test("a step that fails shows its lines, after its output", async () => {
    const failed = await build("-t", name, context({ Dockerfile: "FROM busybox\nRUN echo loud && \\\n  exit 3\n" }));
    expect(failed.code).toBe(3);
    expect(failed.stdout + failed.stderr).toMatch(/loud\n[\s\S]*>>> RUN echo loud[\s\S]*>>> {3}exit 3/);
  });

  test("what the checks find is told, and ends the build when it is asked to", async () => {
    const text = "FROM busybox AS Maker\nMAINTAINER me\nCOPY $NOPE* /\n";
    const told = await build("-t", name, context({ Dockerfile: text }));
    expect(told.code).toBe(0);
    expect(told.stdout).toContain(" 3 warnings found");
    expect(told.stdout).toContain(" - StageNameCasing: Stage name 'Maker' should be lowercase (line 1)\n");
    const ended = await build("-t", name, context({ Dockerfile: `# check=skip=UndefinedVar;error=true\n${text}` }));
    expect([ended.code, ended.stderr]).toEqual([
      1,
      expect.stringContaining("lint violation found for rules: MaintainerDeprecated, StageNameCasing"),
    ]);
  });

  test(".dockerignore keeps files away, and -f takes another Dockerfile", async () => {
    const directory = context({
      "other/Dockerfile.x": "FROM busybox\nCOPY . /ctx\nRUN find /ctx -type f | sort > /list\n",
      ".dockerignore": "# comment\n*.log\n!keep.log\nsecret/\n**/*.tmp\n",
      "keep.log": "",
      "drop.log": "",
      "secret/key": "",
      "deep/er/x.tmp": "",
      "deep/er/x.txt": "",
    });
    expect((await build("-q", "-t", name, "-f", `${directory}/other/Dockerfile.x`, directory)).code).toBe(0);
    const list = await engine.ok("run", "--rm", name, "cat", "/list");
    expect(list.split("\n")).toEqual([
      "/ctx/.dockerignore",
      "/ctx/deep/er/x.txt",
      "/ctx/keep.log",
      "/ctx/other/Dockerfile.x",
    ]);
  });

  test("a Dockerfile or a context from standard input", async () => {
    const piped = await cli(which, engine.host, ["build", "-q", "-t", name, "-"], {
      stdin: "FROM busybox\nRUN echo piped > /p\n",
    });
    expect(piped.code).toBe(0);
    expect(await engine.ok("run", "--rm", name, "cat", "/p")).toBe("piped");
    const directory = context({ f: "from the context" });
    const argv = ["build", "-q", "-t", name, "-f", "-", directory];
    expect((await cli(which, engine.host, argv, { stdin: "FROM busybox\nCOPY f /f\n" })).code).toBe(0);
    expect(await engine.ok("run", "--rm", name, "cat", "/f")).toBe("from the context");
  });

  test("the image holds what the instructions say", async () => {
    const directory = context({
      Dockerfile: `FROM busybox
ENV A=1 B="two words"
EXPOSE 80 53/udp
VOLUME /data
USER alice
LABEL k=v
STOPSIGNAL SIGUSR1
SHELL ["/bin/sh", "-ec"]
WORKDIR /home/alice
RUN id -un > /tmp/who
HEALTHCHECK CMD true
ENTRYPOINT echo $A
`,
    });
    const built = await build("-q", "-t", name, directory);
    expect(built.code).toBe(0);
    const config = JSON.parse(await engine.ok("inspect", "-f", "{{json .Config}}", name));
    expect(config).toMatchObject({
      ExposedPorts: { "53/udp": {}, "80/tcp": {} },
      Volumes: { "/data": {} },
      User: "alice",
      Labels: { k: "v" },
      StopSignal: "SIGUSR1",
      WorkingDir: "/home/alice",
      Entrypoint: ["/bin/sh", "-ec", "echo $A"],
    });
    expect(config.Env).toEqual(expect.arrayContaining(["A=1", "B=two words"]));
    expect(await engine.ok("run", "--rm", name)).toBe("1");
    expect(await engine.ok("run", "--rm", "--entrypoint", "cat", name, "/tmp/who")).toBe("alice");
  });

  test("several tags, labels, and a platform", async () => {
    const directory = context({ Dockerfile: "FROM busybox\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\n" });
    expect((await build("-q", "-t", `${name}:a`, "-t", `${name}:b`, "--label", "x=y", directory)).code).toBe(0);
    expect(await id(`${name}:a`)).toBe(await id(`${name}:b`));
    expect(await engine.ok("inspect", "-f", "{{.Config.Labels.x}} {{.Architecture}}", `${name}:a`)).toBe(
      `y ${await engine.ok("run", "--rm", `${name}:a`, "cat", "/arch")}`,
    );
  });
});

describe("berth build --check", () => {
  const check = (...argv: string[]) => cli("berth", engine.host, ["build", "--check", ...argv]);

  test("says that there is nothing to say, without an image that is not here", async () => {
    const { code, stdout } = await check(context({ Dockerfile: "FROM nowhere.invalid/x\nRUN false\n" }));
    expect([code, stdout]).toEqual([0, "Check complete, no warnings found.\n"]);
  });

  test("shows each finding with its lines", async () => {
    const files = { Dockerfile: "FROM busybox\nCOPY secret $NOPE /x/\nCMD run\n", ".dockerignore": "secret\n" };
    const { code, stdout } = await check(context(files));
    expect(code).toBe(1);
    expect(stdout).toStartWith("Check complete, 3 warnings have been found!\n\nWARNING: ");
    for (const rule of ["UndefinedVar", "CopyIgnoredFile", "JSONArgsRecommended"]) expect(stdout).toContain(rule);
    expect(stdout).toContain("Dockerfile:3\n--------------------\n   1 |     FROM busybox\n");
    expect(stdout).toContain("   3 | >>> CMD run\n");
  });

  test("shows what would end the build", async () => {
    const { code, stdout } = await check(context({ Dockerfile: "FROM busybox\nEXPOSE x\n" }));
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(/^dockerfile parse error on line 2: invalid containerPort: x\nDock/),
    ]);
  });

  test("leaves nothing behind", async () => {
    const images = () => engine.ok("images", "-a", "-q");
    const before = await images();
    await check(context({ Dockerfile: "FROM busybox\nRUN touch /x\n" }));
    expect(await images()).toBe(before);
  });
});

describe("a repository", () => {
  const git = (directory: string, ...args: string[]) =>
    execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@t", "-C", directory, ...args], { encoding: "utf8" });
  let served: string;
  let server: ChildProcess;
  let url: string;

  beforeAll(async () => {
    served = `${engine.directory}/served`;
    mkdirSync(`${served}/repo/docs`, { recursive: true });
    git(`${served}/repo`, "init", "--quiet", "-b", "main");
    writeFileSync(`${served}/repo/docs/a.txt`, "one\n");
    writeFileSync(`${served}/repo/run.sh`, "#!/bin/sh\n", { mode: 0o755 });
    git(`${served}/repo`, "add", "-A");
    git(`${served}/repo`, "commit", "--quiet", "-m", "one");
    git(`${served}/repo`, "checkout", "--quiet", "-b", "app");
    writeFileSync(`${served}/repo/docs/Other`, "FROM busybox\nCOPY . /app\nRUN ls -A /app > /list\n");
    writeFileSync(`${served}/repo/docs/.dockerignore`, "*.log\nOther\n.dockerignore\n");
    writeFileSync(`${served}/repo/docs/a.log`, "log\n");
    git(`${served}/repo`, "add", "-A");
    git(`${served}/repo`, "commit", "--quiet", "-m", "two");
    git(`${served}/repo`, "checkout", "--quiet", "main");
    const port = await freePort();
    const options = ["--listen=127.0.0.1", `--port=${port}`, "--export-all", "--reuseaddr", `--base-path=${served}`];
    server = spawn("git", ["-c", "safe.directory=*", "daemon", ...options, served], { stdio: "ignore" });
    url = `git://127.0.0.1:${port}/repo`;
    while (spawnSync("git", ["ls-remote", url], { stdio: "ignore" }).status !== 0) await Bun.sleep(50);
  });
  afterAll(async () => {
    server.kill();
    await once(server, "exit");
  });

  test.each(["docker", "berth"] as const)("is the context of %s build", async (which) => {
    const tag = `git-context-${which}`;
    const built = await cli(which, engine.host, ["build", "-t", tag, "-f", "Other", `${url}#app:docs`]);
    expect([built.code, built.stderr]).toEqual([0, expect.any(String)]);
    expect(await engine.ok("run", "--rm", tag, "cat", "/list")).toBe("a.txt");
  });

  test("is the context of a request, and named where it is not there", async () => {
    const of = (remote: string) =>
      call(engine, `POST /build?q=1&dockerfile=Other&remote=${encodeURIComponent(remote)}`);
    expect((await of(`${url}#app:docs`)).text).toMatch(/sha256:[0-9a-f]{64}/);
    const [nothing, outside] = [await of(`${url}#nothing`), await of(`${url}#app:docs/../..`)];
    expect([nothing.status, nothing.json?.message]).toEqual([400, expect.stringContaining("remote ref nothing")]);
    expect([outside.status, outside.json?.message]).toEqual([400, expect.stringContaining('"docs/../.."')]);
    expect(readdirSync(`${engine.directory}/data/builds/contexts`)).toEqual([]);
  });

  test("is neither fetched on nor kept when the daemon is killed", async () => {
    const [asked, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const silent = createServer((socket) => {
      socket
        .resume()
        .on("error", () => undefined)
        .on("close", closed.resolve);
      asked.resolve();
    }).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const build = cli("berth", engine.host, ["build", `git://127.0.0.1:${port}/silent`]);
    await asked.promise;
    expect(readdirSync(`${engine.directory}/data/builds/contexts`)).toHaveLength(1);
    await engine.stop("SIGKILL");
    await closed.promise;
    silent.close();
    expect((await build).code).not.toBe(0);
    await engine.start();
    expect(readdirSync(`${engine.directory}/data/builds/contexts`)).toEqual([]);
  });

  test("ADDed gives its files, and the second time the cache", async () => {
    const directory = context({
      Dockerfile: `FROM busybox
ADD ${url} /all/
ADD --chown=5:6 ${url}?ref=main&subdir=docs /docs/
ADD --keep-git-dir ${url}#main:docs /kept
RUN cd /all && find . | sort > /list && stat -c '%a %u %n' run.sh /docs/a.txt >> /list && ls -A /kept >> /list
`,
    });
    const first = await cli("docker", engine.host, ["build", "-t", "with-git", directory]);
    expect([first.code, first.stderr]).toEqual([0, expect.any(String)]);
    expect((await engine.ok("run", "--rm", "with-git", "cat", "/list")).split("\n")).toEqual([
      ".",
      "./docs",
      "./docs/a.txt",
      "./run.sh",
      "755 0 run.sh",
      "644 5 /docs/a.txt",
      "a.txt",
    ]);
    const second = await cli("docker", engine.host, ["build", directory]);
    expect(second.stdout.match(/Using cache/g)).toHaveLength(4);
  });

  test("ADDed says what is not there, with its lines", async () => {
    const failed = await cli("docker", engine.host, [
      "build",
      context({ Dockerfile: `FROM busybox\nADD ${url}#nothing /x/\n` }),
    ]);
    expect(failed.code).toBe(1);
    expect(failed.stdout + failed.stderr).toMatch(/>>> ADD git:[\s\S]*failed to fetch git:.*couldn't find remote ref/);
  });
});

test("builder prune gives the space back and forgets", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n" });
  await engine.ok("build", "-q", "-t", "pruned", directory);
  const first = await engine.ok("run", "--rm", "pruned", "cat", "/id");
  await engine.ok("rmi", "pruned");
  await engine.ok("builder", "prune", "-a", "-f");
  await engine.ok("build", "-q", "-t", "pruned", directory);
  expect(await engine.ok("run", "--rm", "pruned", "cat", "/id")).not.toBe(first);
});

/** The one network namespace that the engine keeps ready for the next container. */
const madeAhead = /\/exec\/netns\/\+/;

test("what a build left running or mounted is gone", async () => {
  const directory = context({ Dockerfile: "FROM busybox\nRUN sleep 1000 & echo started\n" });
  await engine.ok("build", "-q", "-t", "quiet", directory);
  const mounts = (await Bun.file("/proc/self/mountinfo").text())
    .split("\n")
    .filter((line) => line.includes(engine.directory) && !madeAhead.test(line));
  expect(mounts).toEqual([]);
});

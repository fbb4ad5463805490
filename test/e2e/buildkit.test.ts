import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { serveGit } from "../../src/builder/testing/git-server.ts";
import { servePrivateGit } from "../../src/builder/testing/private-git.ts";
import { hijacked, openSession } from "../../src/buildkit/testing/client.ts";
import { sender } from "../../src/buildkit/testing/sender.ts";
import { callOver } from "../../src/grpc/mod.ts";
import { createHost } from "../../src/host/mod.ts";
import { control, filesync } from "../../src/proto/mod.ts";
import { contextsIn } from "../support/contexts.ts";
import { type CliOptions, type CliResult, cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { startRegistry } from "../support/registry.ts";

/** Debian's docker CLI, the last with a BuildKit client inside: `./dev test` fetches it. */
const oldDocker = new URL("../../.cache/docker/docker.real", import.meta.url).pathname;

let engine: Engine;
beforeAll(async () => {
  if (!existsSync(oldDocker)) throw new Error(`${oldDocker} is not there: ./dev test fetches it`);
  engine = await startEngine();
  await importBusybox(engine);
  const agent = createServer();
  await new Promise<void>((resolve) => agent.listen(`${engine.directory}/agent`, resolve));
});
afterAll(() => engine[Symbol.asyncDispose]());

const builders = {
  docker: async (argv: string[], { stdin, cwd, env }: CliOptions = {}): Promise<CliResult> => {
    const child = Bun.spawn([oldDocker, "build", "--progress=plain", ...argv], {
      stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
      ...{ stdout: "pipe", stderr: "pipe", cwd: cwd ?? engine.directory, timeout: 60_000, killSignal: "SIGKILL" },
      env: { ...cliEnv(engine.host), ...env, DOCKER_BUILDKIT: "1" },
    });
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, stdout, stderr };
  },
  berth: (argv: string[], options: CliOptions = {}) => cli("berth", engine.host, ["build", ...argv], options),
} as const;

const context = contextsIn(() => engine);

const secret = "hush-hush-4711";

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const build = builders[which];

  test("secrets are files and variables of their step, and are kept nowhere", async () => {
    const directory = context({
      Dockerfile: `FROM busybox
RUN --mount=type=secret,id=file stat -c '%a %u:%g' /run/secrets/file > /attributes && wc -c < /run/secrets/file > /size
RUN --mount=type=secret,id=file,target=/etc/app/key,mode=0440,uid=1000,gid=50 stat -c '%a %u:%g' /etc/app/key >> /attributes
RUN --mount=type=secret,id=variable,env=TOKEN,required=true echo -n "$TOKEN" | wc -c >> /size
RUN test ! -e /run/secrets/file && test -z "$TOKEN"
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
`,
      ".dockerignore": "key\n",
      key: secret,
    });
    const flags = ["--secret", "id=file,src=key", "--secret", "id=variable,env=MINE", "-t", `secret-${which}`];
    const made = await build([...flags, "."], { cwd: directory, env: { MINE: secret } });
    expect([made.code, made.code === 0 ? "" : made.stderr]).toEqual([0, ""]);
    const shown = await engine.ok("run", "--rm", `secret-${which}`, "cat", "/attributes", "/size");
    expect(shown).toBe(`400 0:0\n440 1000:50\n${secret.length}\n${secret.length}`);
    const history = await engine.ok("history", "--no-trunc", `secret-${which}`);
    const database = readFileSync(`${engine.directory}/data/berth.db`, "latin1");
    for (const kept of [history, database, await engine.log(), made.stdout, made.stderr])
      expect(kept).not.toContain(secret);
  });

  test("a secret that must be there and is not fails its step; an agent as well", async () => {
    const directory = context({
      "one/Dockerfile": "FROM busybox\nRUN --mount=type=secret,id=must,required=true true\n",
      "two/Dockerfile": "FROM busybox\nRUN --mount=type=ssh,required=true true\n",
    });
    const one = await build(["one"], { cwd: directory });
    expect([one.code, one.stderr]).toEqual([1, expect.stringContaining("secret must: not found")]);
    const two = await build(["two"], { cwd: directory });
    expect([two.code, two.stderr]).toEqual([1, expect.stringContaining("unset ssh forward key default")]);
  });

  test("an ssh agent's socket is the step's", async () => {
    const directory = context({
      Dockerfile: `FROM busybox
RUN --mount=type=ssh,uid=1000,mode=0640 test -S "$SSH_AUTH_SOCK" && stat -c '%n %a %u' "$SSH_AUTH_SOCK" > /socket
RUN --mount=type=ssh,id=none test -z "$SSH_AUTH_SOCK"
`,
    });
    const flags = ["--ssh", `default=${engine.directory}/agent`, "-t", `ssh-${which}`];
    const made = await build([...flags, "."], { cwd: directory });
    expect([made.code, made.code === 0 ? "" : made.stderr]).toEqual([0, ""]);
    expect(await engine.ok("run", "--rm", `ssh-${which}`, "cat", "/socket")).toBe("/run/buildkit/ssh_agent.0 640 1000");
  });
});

test("named contexts of berth build: directories without what they ignore, and images; they leave nothing", async () => {
  const directory = context({
    "app/Dockerfile": "FROM base AS one\nCOPY --from=lib . /lib/\nRUN --mount=from=lib,target=/m test -e /m/d/x\n",
    "lib/d/x": "X",
    "lib/secret": "no",
    "lib/.dockerignore": "secret\n",
  });
  const flags = ["--build-context", "base=docker-image://busybox", "--build-context", "lib=lib", "-t", "named", "app"];
  const before = await engine.ok("images", "-aq");
  const made = await builders.berth(flags, { cwd: directory });
  expect([made.code, made.code === 0 ? "" : made.stderr]).toEqual([0, ""]);
  expect(made.stdout).toContain("[context lib] load from client\n");
  expect(await engine.ok("run", "--rm", "named", "find", "/lib", "-type", "f")).toBe("/lib/.dockerignore\n/lib/d/x");
  const again = await builders.berth(flags, { cwd: directory });
  expect(again.stdout.match(/Using cache/g)).toHaveLength(2);
  await engine.ok("rmi", "named");
  expect(await engine.ok("images", "-aq")).toBe(before);
  const checked = await builders.berth(["--check", ...flags], { cwd: directory });
  expect([checked.code, checked.stdout]).toEqual([0, "Check complete, no warnings found.\n"]);
  const none = await builders.berth(["--build-context", "lib=nowhere", "app"], { cwd: directory });
  expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("nowhere is not a directory")]);
});

describe("a private git repository", () => {
  test.each(["docker", "berth"] as const)("%s: as context and for ADD, with the client's token", async (which) => {
    await using server = await serveGit(createHost({ workers: { size: 1 } }).processes);
    await using closed = await servePrivateGit(join(server.place, "served"));
    closed.authorization = `basic ${Buffer.from(`x-access-token:${secret}`).toString("base64")}`;
    const url = `${closed.url}/app.git`;
    server.repository("app.git", { Dockerfile: `FROM busybox\nCOPY a /a\nADD ${url} /added\n`, a: "mine" });
    const env = { TOKEN: secret };
    const name = `private-${which}`;
    const made = await builders[which](["--secret", "id=GIT_AUTH_TOKEN,env=TOKEN", "-t", name, url], { env });
    expect([made.code, made.code === 0 ? "" : made.stderr]).toEqual([0, ""]);
    expect(await engine.ok("run", "--rm", name, "cat", "/a", "/added/a")).toBe("minemine");
    const database = readFileSync(`${engine.directory}/data/berth.db`, "latin1");
    const history = await engine.ok("history", "--no-trunc", name);
    for (const kept of [history, database, await engine.log(), made.stdout, made.stderr]) {
      for (const text of [secret, closed.authorization.slice(6)]) expect(kept).not.toContain(text);
    }
    const { code, stderr } = await builders[which]([url]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("a private repository needs --secret id=GIT_AUTH_TOKEN"),
    ]);
  });
});

describe("docker with DOCKER_BUILDKIT=1", () => {
  const build = builders.docker;

  test("sends what .dockerignore leaves, tells every step, and finds the second build in the cache", async () => {
    const directory = context({
      "app.dockerfile":
        "FROM busybox AS base\nARG WHO=nobody\nCOPY . /app\nRUN echo made for $WHO; ls /app\nFROM base\nLABEL a=b\n",
      "app.dockerfile.dockerignore": "*.log\n",
      ".dockerignore": "*\n",
      "big.bin": "x".repeat(9_000_000),
      "kept/file": "kept",
      "left.log": "left",
    });
    const argv = ["-f", "app.dockerfile", "--build-arg", "WHO=you", "-t", "synced:1", "--iidfile", "id", "."];
    const first = await build(argv, { cwd: directory });
    expect([first.code, first.code === 0 ? "" : first.stderr]).toEqual([0, ""]);
    for (const line of [
      "[internal] load build definition from app.dockerfile",
      "[internal] load build context",
      "[2/3] COPY . /app",
      "made for you",
      "exporting to image",
    ]) {
      expect(first.stderr).toContain(line);
    }
    expect(await engine.ok("run", "--rm", "synced:1", "ls", "/app")).toBe(
      "app.dockerfile\napp.dockerfile.dockerignore\nbig.bin\nkept",
    );
    expect(readFileSync(`${directory}/id`, "utf8")).toBe(await engine.ok("inspect", "-f", "{{.Id}}", "synced:1"));
    const second = await build(argv, { cwd: directory });
    expect(second.stderr.match(/CACHED/g)?.length).toBe(3);
  });

  test("a step that fails is told with what it said", async () => {
    const directory = context({ Dockerfile: "FROM busybox\nRUN echo before; exit 3\n" });
    const { code, stderr } = await build(["."], { cwd: directory });
    expect([code, stderr]).toEqual([1, expect.stringContaining("did not complete successfully: exit code: 3")]);
    expect(stderr).toContain("before");
    const broken = context({ Dockerfile: "FROM busybox\nRUNN x\n" });
    expect((await build(["."], { cwd: broken })).stderr).toContain("unknown instruction: RUNN");
  });

  test("a Dockerfile or a context from standard input; -q says the id alone", async () => {
    const directory = context({ file: "content" });
    const text = "FROM busybox\nCOPY file /file\n";
    expect((await build(["-t", "stdin:1", "-f", "-", "."], { cwd: directory, stdin: text })).code).toBe(0);
    expect(await engine.ok("run", "--rm", "stdin:1", "cat", "/file")).toBe("content");
    writeFileSync(`${directory}/Dockerfile`, text);
    const archive = Bun.spawnSync(["tar", "-c", "."], { cwd: directory }).stdout;
    const quiet = await build(["-q", "-t", "stdin:2", "-"], { stdin: archive });
    expect(quiet.stdout.trim()).toBe(await engine.ok("inspect", "-f", "{{.Id}}", "stdin:2"));
  });

  test("the result as files, as an archive of them, and as an archive of an image, which leave no image", async () => {
    const directory = context({
      Dockerfile: `FROM busybox AS maker
RUN mkdir -p /out/d && echo content > /out/d/f && ln /out/d/f /out/hard && ln -s d/f /out/soft && chmod 4755 /out/d/f
RUN dd if=/dev/zero of=/out/big bs=1M count=5 && for i in $(seq 200); do echo $i > /out/d/n$i; done
FROM scratch
COPY --from=maker /out /
`,
    });
    const before = await engine.ok("images", "-aq");
    const local = await build(["-o", "out", "."], { cwd: directory });
    expect([local.code, local.code === 0 ? "" : local.stderr]).toEqual([0, ""]);
    expect(readFileSync(`${directory}/out/soft`, "utf8")).toBe("content\n");
    const [hard, big] = ["hard", "big"].map((name) => statSync(`${directory}/out/${name}`));
    expect([hard?.nlink, (hard?.mode ?? 0) & 0o7777, big?.size]).toEqual([2, 0o4755, 5 << 20]);
    expect(readdirSync(`${directory}/out/d`).length).toBe(201);
    expect((await build(["-o", "type=tar,dest=files.tar", "."], { cwd: directory })).code).toBe(0);
    const listed = Bun.spawnSync(["tar", "-tf", "files.tar"], { cwd: directory }).stdout.toString();
    expect(listed.split("\n")).toContain("d/n200");
    expect(await engine.ok("images", "-aq")).toBe(before);
    const other = await build(["-o", "type=cloud", "."], { cwd: directory });
    expect([other.code, other.stderr]).toEqual([1, expect.stringContaining("output of type cloud is not implemented")]);
  });
});

test("the Control API over /grpc builds what a session sends", async () => {
  const socket = engine.host.replace("unix://", "");
  const files = {
    Dockerfile: { content: "FROM busybox\nCOPY sent /sent\nRUN cat /sent\n" },
    sent: { content: "by gRPC" },
  };
  const diffCopy = sender({ context: files, dockerfile: files });
  await using session = await openSession(socket, {
    methods: ["/moby.filesync.v1.FileSync/DiffCopy"],
    routes: (router) => router.service(filesync.FileSync, { diffCopy }),
  });
  using caller = callOver(await hijacked(socket, "/grpc"));
  const service = caller.client(control.Control);
  const status = Array.fromAsync(service.status({ ref: "r" }));
  await using registry = await startRegistry();
  const name = `${registry.host}/o/app:1`;
  const attrs = { name, push: "true", compression: "zstd" };
  const exporter = {
    exporters: [
      { type: "moby", attrs: { name: "controlled:1" } },
      { type: "image", attrs },
    ],
  };
  const solved = await service.solve({ ref: "r", session: session.id, frontend: "dockerfile.v0", ...exporter });
  const id = await engine.ok("inspect", "-f", "{{.Id}}", "controlled:1");
  expect(solved.exporterResponse["containerimage.config.digest"]).toBe(id);
  const digest = solved.exporterResponse["containerimage.digest"];
  expect(await engine.ok("inspect", "-f", "{{.RepoDigests}}", name)).toBe(`[${registry.host}/o/app@${digest}]`);
  const accept = { headers: { Accept: "application/vnd.oci.image.manifest.v1+json" } };
  const pushed = await fetch(`http://${registry.host}/v2/o/app/manifests/${digest}`, accept);
  expect(await pushed.text()).toContain("tar+zstd");
  expect(await engine.ok("run", "--rm", "controlled:1", "cat", "/sent")).toBe("by gRPC");
  const logs = (await status).flatMap((one) => one.logs).map(({ msg }) => Buffer.from(msg).toString());
  expect(logs.join("")).toBe("by gRPC");
});

test("several platforms: one index of images whose steps need nothing that runs; else the emulator is named", async () => {
  const socket = engine.host.replace("unix://", "");
  const files = {
    Dockerfile: { content: "FROM scratch AS plain\nARG TARGETARCH\nCOPY $TARGETARCH /bin/sh\nFROM plain\nRUN true\n" },
    amd64: { content: "no program", mode: 0o755 },
    arm64: { content: "another", mode: 0o755 },
  };
  const diffCopy = sender({ context: files, dockerfile: files });
  await using session = await openSession(socket, {
    methods: ["/moby.filesync.v1.FileSync/DiffCopy"],
    routes: (router) => router.service(filesync.FileSync, { diffCopy }),
  });
  await using registry = await startRegistry();
  using caller = callOver(await hijacked(socket, "/grpc"));
  const before = await engine.ok("images", "-aq");
  const solve = (ref: string, target: string) =>
    caller.client(control.Control).solve({
      ...{ ref, session: session.id, frontend: "dockerfile.v0" },
      frontendAttrs: { platform: "linux/amd64,linux/arm64", target },
      exporters: [{ type: "image", attrs: { name: `${registry.host}/multi:1`, push: "true" } }],
    });
  const { exporterResponse } = await solve("multi", "plain");
  const accept = { headers: { Accept: "application/vnd.oci.image.index.v1+json" } };
  const pushed = await fetch(`http://${registry.host}/v2/multi/manifests/1`, accept);
  expect(pushed.headers.get("docker-content-digest")).toBe(exporterResponse["containerimage.digest"] ?? null);
  const { manifests } = (await pushed.json()) as { manifests: { platform: { architecture: string } }[] };
  expect(manifests.map(({ platform }) => platform.architecture)).toEqual(["amd64", "arm64"]);
  expect(await engine.ok("images", "-aq")).toBe(before);
  const told = await solve("runs", "").then(() => "", String);
  expect(told).toMatch(
    /exec format error: this host runs programs for linux\/\w+, and others where binfmt_misc has an emulator/,
  );
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, isOld, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

/** The CLI 20 has not all the options of mounts. */
const which = isOld("docker") ? "berth" : "docker";
const run = (...argv: string[]) => cli(which, engine.host, ["run", "--rm", ...argv]);
const sh = (script: string, ...flags: string[]) => engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);
/** A directory of the host for one test. */
const made = (name: string) => {
  const path = `${engine.directory}/${name}`;
  mkdirSync(path, { recursive: true });
  return path;
};
const mountsOfEngine = () =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(engine.directory) && !line.includes("/netns/"));

async function buildTree(): Promise<void> {
  const dockerfile = [
    "FROM busybox",
    "RUN mkdir -p /tree/sub && echo one > /tree/one && echo two > /tree/sub/two && ln -s ../../../etc /tree/out",
    "RUN ln -s sub /tree/link && ln /tree/one /tree/same && chown 7:8 /tree/one && chmod 4711 /tree/one && chmod 1770 /tree",
  ];
  await Bun.write(`${engine.directory}/tree-ctx/Dockerfile`, dockerfile.join("\n"));
  await engine.ok("build", "-q", "-t", "tree", `${engine.directory}/tree-ctx`);
}

describe("type=image", () => {
  test.skipIf(isOld("docker"))("docker: an image's files as a mount", () => asMount("docker"));
  test("berth: an image's files as a mount", () => asMount("berth"));

  async function asMount(which: "docker" | "berth"): Promise<void> {
    await buildTree();
    const mounted = (spec: string, script: string) =>
      cli(which, engine.host, [
        "run",
        "--rm",
        "--mount",
        `type=image,source=tree,${spec}`,
        "busybox",
        "sh",
        "-c",
        script,
      ]);
    expect((await mounted("target=/i", "cat /i/tree/sub/two")).stdout).toBe("two\n");
    expect((await mounted("target=/i", "touch /i/new")).stderr).toContain("Read-only file system");
    expect((await mounted("target=/i,image-subpath=tree/sub", "ls /i")).stdout).toBe("two\n");
    expect((await mounted("target=/i,image-subpath=tree/one", "cat /i")).stdout).toBe("one\n");
    expect((await mounted("target=/i,image-subpath=tree/link", "ls /i")).stdout).toBe("two\n");
    expect((await mounted("target=/i,image-subpath=tree/out", "cat /i/passwd")).stdout).toContain("alice");
    const missing = await mounted("target=/i,image-subpath=nope", "true");
    expect(missing.stderr).toContain("cannot access path nope: no such file or directory");
    expect((await mounted("target=/i,image-subpath=../x", "true")).stderr).toContain(
      'invalid mount config for type "image": subpath must be a relative path within the image',
    );
    expect(mountsOfEngine()).toEqual([]);
  }
});

test("an image that a container has mounted stays, and inspect tells of the mount", async () => {
  await engine.ok("tag", "busybox", "other");
  await Bun.write(`${engine.directory}/kept/Dockerfile`, "FROM busybox\nRUN echo kept > /kept\n");
  await engine.ok("build", "-q", "-t", "kept", `${engine.directory}/kept`);
  const mount = "type=image,source=kept,target=/k";
  const id = await engine.ok("run", "-d", "--mount", mount, "busybox", "sleep", "1000");
  const imageId = await engine.ok("inspect", "-f", "{{.Id}}", "kept");
  expect((await engine.docker("rmi", "-f", imageId)).stderr).toContain("is being used by running container");
  const [told] = JSON.parse(await engine.ok("inspect", "-f", "{{json .Mounts}}", id));
  expect(told).toMatchObject({ Type: "image", Name: "kept", Destination: "/k", RW: false });
  await engine.stop("SIGKILL");
  await engine.start();
  expect(await engine.ok("exec", id, "cat", "/k/kept")).toBe("kept");
  await engine.ok("restart", "-t", "0", id);
  expect(await engine.ok("exec", id, "cat", "/k/kept")).toBe("kept");
  await engine.ok("rm", "-f", id);
  await engine.ok("rmi", "kept", "other");
  expect(mountsOfEngine()).toEqual([]);
  const gone = await call(engine, "POST /containers/create", {
    Image: "busybox",
    HostConfig: { Mounts: [{ Type: "image", Source: "kept", Target: "/k" }] },
  });
  expect([gone.status, gone.json.message]).toEqual([404, "No such image: kept:latest"]);
});

test("a volume's part is found inside the volume, whatever its links say", async () => {
  await sh(
    "mkdir -p /v/a/b; echo in > /v/a/b/f; ln -s /etc /v/abs; ln -s ../../../../../etc /v/up; ln -s a/b /v/ok",
    "-v",
    "parts:/v",
  );
  const part = (subpath: string, script: string) =>
    run("--mount", `type=volume,src=parts,dst=/p,volume-subpath=${subpath}`, "busybox", "sh", "-c", script);
  expect((await part("a/b", "cat /p/f; echo back > /p/g")).stdout).toBe("in\n");
  expect((await part("ok", "cat /p/g")).stdout).toBe("back\n");
  expect((await part("a/b/f", "cat /p")).stdout).toBe("in\n");
  for (const hostile of ["abs", "up", "abs/passwd", "up/passwd"]) {
    const { stdout, stderr } = await part(hostile, "cat /p/passwd /p");
    expect(stderr).toMatch(/cannot access path .*parts\/_data\/\S+: no such file or directory/);
    expect(stdout).toBe("");
  }
  await engine.ok("volume", "rm", "parts");
  expect(mountsOfEngine()).toEqual([]);
});

test("a part that is swapped for a link while containers start is never the host's", async () => {
  const id = await engine.ok(
    "run",
    "-d",
    "-v",
    "race:/v",
    "busybox",
    "sh",
    "-c",
    "mkdir /v/real; echo inside > /v/real/passwd; while :; do ln -sfn real /v/p; ln -sfn ../../../../../../../../etc /v/p; ln -sfn /etc /v/p; done",
  );
  for (let round = 0; round < 6; round++) {
    const { stdout } = await run(
      "--mount",
      "type=volume,src=race,dst=/p,volume-subpath=p",
      "busybox",
      "cat",
      "/p/passwd",
    );
    expect(stdout === "inside\n" || stdout === "").toBe(true);
  }
  await engine.ok("rm", "-f", id);
  await engine.ok("volume", "rm", "race");
});

test("read-only goes for what is mounted below, unless told otherwise", async () => {
  const outer = made("deep");
  const volume = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "inner"];
  await engine.ok("volume", "create", ...volume);
  const holder = await engine.ok("run", "-d", "-v", "inner:/i", "busybox", "sleep", "1000");
  const data = await engine.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "inner");
  const above = data.replace(/\/inner\/_data$/, "");
  const write = (options: string) =>
    run("--mount", `type=bind,src=${above},dst=/d,${options}`, "busybox", "touch", "/d/inner/_data/f");
  expect((await run("-v", `${above}:/d:ro`, "busybox", "touch", "/d/inner/_data/f")).stderr).toContain("Read-only");
  expect((await write("readonly")).stderr).toContain("Read-only file system");
  expect((await write("readonly,bind-recursive=readonly,bind-propagation=rprivate")).code).toBe(125);
  expect((await write("readonly,bind-recursive=writable")).code).toBe(0);
  expect(existsSync(`${data}/f`)).toBe(true);
  expect((await write("bind-recursive=disabled")).code).toBe(0);
  expect(readdirSync(data)).toEqual(["f"]);
  const file = `${outer}/file`;
  writeFileSync(file, "x");
  expect((await run("-v", `${file}:/f:ro`, "busybox", "sh", "-c", "cat /f; echo y > /f")).stderr).toContain(
    "Read-only",
  );
  await engine.ok("rm", "-f", holder);
  await engine.ok("volume", "rm", "inner");
});

test("bind-recursive=readonly of a directory elsewhere", async () => {
  const mount = `type=bind,src=${made("ro")},dst=/d,readonly,bind-recursive=readonly,bind-propagation=rprivate`;
  expect((await run("--mount", mount, "busybox", "touch", "/d/f")).stderr).toContain("Read-only file system");
});

test("propagation that the host's mount does not have is refused by name", async () => {
  const source = made("private");
  const mount = (how: string) => run("-v", `${source}:/d:${how}`, "busybox", "true");
  const expected = /is mounted on \S+ but it is not a shared (or slave )?mount/;
  const { stdout } = Bun.spawnSync(["findmnt", "-n", "-o", "PROPAGATION", "-T", source]);
  const isPrivate = stdout.toString().startsWith("private");
  if (isPrivate) for (const how of ["shared", "rslave"]) expect((await mount(how)).stderr).toMatch(expected);
  else expect((await mount("shared")).code).toBe(0);
  expect((await mount("private")).code).toBe(0);
  expect((await run("-v", "/:/host:private", "busybox", "true")).stderr).toContain("within the daemon root");
  const root = await engine.ok("create", "-v", "/:/host:ro", "busybox");
  expect(await engine.ok("inspect", "-f", "{{(index .Mounts 0).Propagation}}", root)).toBe("rslave");
  expect((await engine.docker("start", root)).code).toBe(0);
  await engine.ok("rm", "-f", root);
});

test("a missing source is made as root's for -v and bind-create-src, and where it cannot be made the path is named", async () => {
  const missing = `${engine.directory}/made`;
  await sh("true", "-v", `${missing}/a:/d`);
  const { uid, mode } = statSync(`${missing}/a`);
  expect([uid, mode & 0o777]).toEqual([0, 0o755]);
  const bound = await engine.berth(
    "run",
    "--rm",
    "--mount",
    `type=bind,src=${missing}/b,dst=/d,bind-create-src`,
    "busybox",
    "true",
  );
  expect(bound.code).toBe(0);
  expect(existsSync(`${missing}/b`)).toBe(true);
  writeFileSync(`${missing}/file`, "");
  expect((await run("-v", `${missing}/file/x:/d`, "busybox", "true")).stderr).toContain(
    `error while creating mount source path '${missing}/file/x': mkdir ${missing}/file/x: not a directory`,
  );
});

test("a source of -v that is missing is a warning, unless it was asked for", async () => {
  const create = async (hostConfig: object) =>
    (await call(engine, "POST /containers/create", { Image: "busybox", HostConfig: hostConfig })).json;
  const missing = `${engine.directory}/typo`;
  const warned = await create({ Binds: [`${missing}:/d`, `${made("there")}:/e`] });
  expect(warned.Warnings).toEqual([expect.stringContaining(`bind source path does not exist: ${missing}:`)]);
  expect(existsSync(missing)).toBe(false);
  const Mounts = [{ Type: "bind", Source: missing, Target: "/d", BindOptions: { CreateMountpoint: true } }];
  const asked = await create({ Mounts });
  expect(asked.Warnings).toEqual([]);
  const { stderr, code } = await run("-v", `${missing}:/d`, "busybox", "true");
  expect([code, stderr]).toEqual([0, expect.stringContaining(`WARNING: bind source path does not exist: ${missing}`)]);
  await engine.ok("rm", warned.Id, asked.Id);
});

test.each(["crun", "runc"])(
  "%s: a file on a directory, and the reverse, name both and leave nothing",
  async (runtime) => {
    const directory = made("mismatch");
    writeFileSync(`${directory}/file`, "x");
    const refused = (source: string, target: string) =>
      run("--runtime", runtime, "-v", `${source}:${target}`, "busybox", "true");
    for (const [source, target] of [
      [`${directory}/file`, "/etc"],
      [directory, "/etc/passwd"],
    ] as const) {
      const { code, stderr } = await refused(source, target);
      expect(code).toBe(125);
      expect(stderr).toContain(`error mounting "${source}" to rootfs at "${target}"`);
      expect(stderr).toContain("Are you trying to mount a directory onto a file (or vice-versa)?");
    }
    expect(await engine.ok("ps", "-aq")).toBe("");
    expect(mountsOfEngine()).toEqual([]);
  },
);

test("the options of a tmpfs, by the API and by berth", async () => {
  const look = ["busybox", "sh", "-c", "stat -c '%u %g %a' /t; grep -c ' /t .*noexec' /proc/mounts"];
  const mount = "type=tmpfs,dst=/t,tmpfs-opt=uid=7,tmpfs-opt=gid=8,tmpfs-opt=exec,tmpfs-mode=0700";
  const { stdout } = await engine.berth("run", "--rm", "--mount", mount, ...look);
  expect(stdout).toBe("7 8 700\n0\n");
  const wrong = await engine.berth("run", "--rm", "--mount", "type=tmpfs,dst=/t,tmpfs-opt=upperdir=/", "busybox");
  expect(wrong.stderr).toContain('invalid tmpfs option ["upperdir" "/"]');
});

test("--volumes-from of a stopped container, with its own and given access", async () => {
  const bind = made("from");
  const id = await engine.ok("create", "-v", "shared:/s:ro", "-v", `${bind}:/b`, "busybox");
  await engine.ok("run", "--rm", "-v", "shared:/s", "busybox", "sh", "-c", "echo x > /s/f");
  expect(
    (await run("--volumes-from", id, "busybox", "sh", "-c", "cat /s/f; touch /b/made; touch /s/no")).stderr,
  ).toContain("/s/no: Read-only file system");
  expect(readdirSync(bind)).toEqual(["made"]);
  expect((await run("--volumes-from", `${id}:ro`, "busybox", "touch", "/b/no")).stderr).toContain("Read-only");
  expect((await run("--volumes-from", `${id}:loud`, "busybox", "true")).stderr).toContain("invalid mode: loud");
  await engine.ok("rm", id);
  await engine.ok("volume", "rm", "shared");
});

test("an image's files come into an empty volume as they are", async () => {
  await buildTree();
  const look = "stat -c '%n %a %u %g %h' /tree /tree/one; readlink /tree/out";
  const expected = "/tree 1770 0 0 3\n/tree/one 4711 7 8 2\n../../../etc";
  const seen = (out: string) => out.replace(/(\/tree \d+ \d+ \d+) \d+/, "$1 3");
  expect(seen(await engine.ok("run", "--rm", "-v", "plain:/tree", "tree", "sh", "-c", look))).toBe(expected);
  const host = made("empty");
  await engine.ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${host}`, "bound");
  expect(seen(await engine.ok("run", "--rm", "-v", "bound:/tree", "tree", "sh", "-c", look))).toBe(expected);
  expect(readFileSync(`${host}/sub/two`, "utf8")).toBe("two\n");
  await engine.ok("volume", "rm", "plain", "bound");
  expect(readdirSync(host)).toContain("one");
});

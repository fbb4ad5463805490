import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import {
  busyboxRootfs,
  dockerArchive,
  gzipLayer,
  importBusybox,
  ociLayout,
  plainLayer,
  sha256,
  zstdLayer,
} from "../support/images.ts";
import { type Entry, tar } from "../support/tar.ts";

let engine: Engine;
const rootfs = busyboxRootfs();
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

const load = (archive: Uint8Array, which: "docker" | "berth" = "docker") =>
  cli(which, engine.host, ["load"], { stdin: archive });
const id = (ref: string) => engine.ok("inspect", "--type", "image", "-f", "{{.Id}}", ref);

describe("load", () => {
  const top = tar({ name: "top", data: "second layer\n" });
  const forms = { plain: plainLayer, gzip: gzipLayer, zstd: zstdLayer };

  test.each(Object.keys(forms) as (keyof typeof forms)[])(
    "a docker archive and an OCI layout with %s layers are the same image",
    async (form) => {
      const layers = [forms[form](rootfs), forms[form](top)];
      const archived = await load(dockerArchive(`archived-${form}:1`, layers));
      expect(archived).toMatchObject({ code: 0, stdout: `Loaded image: archived-${form}:1\n` });
      expect(await load(ociLayout(`layout-${form}:1`, layers), "berth")).toMatchObject({
        code: 0,
        stdout: `Loaded image: layout-${form}:1\n`,
      });
      expect(await id(`layout-${form}:1`)).toBe(await id(`archived-${form}:1`));
      expect(await engine.ok("run", "--rm", `layout-${form}:1`, "cat", "/top")).toBe("second layer");
      await engine.ok("rmi", `layout-${form}:1`, `archived-${form}:1`);
    },
  );

  test("the whole archive may be compressed", async () => {
    const archive = Buffer.from(dockerArchive("squeezed:1", [plainLayer(rootfs)]));
    for (const bytes of [Bun.gzipSync(archive), Bun.zstdCompressSync(archive)]) {
      expect(await load(bytes)).toMatchObject({ code: 0, stdout: "Loaded image: squeezed:1\n" });
      await engine.ok("rmi", "squeezed:1");
    }
  });

  test("an image without a name is loaded by its id", async () => {
    const archive = dockerArchive("unused", [plainLayer(rootfs)], (files) => {
      files.set("manifest.json", JSON.stringify([{ Config: "config.json", RepoTags: null, Layers: ["0/layer.tar"] }]));
    });
    const { stdout } = await load(archive);
    expect(stdout).toMatch(/^Loaded image ID: sha256:[0-9a-f]{64}\n$/);
    await engine.ok("rmi", stdout.trim().replace("Loaded image ID: ", ""));
  });
});

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const one = (...argv: string[]) => cli(which, engine.host, argv);

  test("save and load give back the same images", async () => {
    await load(dockerArchive(`first-${which}:1`, [gzipLayer(rootfs)]));
    await load(dockerArchive(`second-${which}:1`, [gzipLayer(rootfs), plainLayer(tar({ name: "more", data: which }))]));
    const before = [await id(`first-${which}:1`), await id(`second-${which}:1`)];
    const path = `${engine.directory}/saved-${which}.tar`;
    expect(await one("save", "-o", path, `first-${which}:1`, `second-${which}:1`)).toMatchObject({ code: 0 });
    const names = Bun.spawnSync(["tar", "-tf", path]).stdout.toString();
    for (const name of ["manifest.json", "oci-layout", "index.json"]) expect(names).toContain(name);
    await engine.ok("rmi", `first-${which}:1`, `second-${which}:1`);
    const loaded = await one("load", "-i", path);
    expect(loaded.stdout).toContain(`Loaded image: first-${which}:1`);
    expect(loaded.stdout).toContain(`Loaded image: second-${which}:1`);
    expect([await id(`first-${which}:1`), await id(`second-${which}:1`)]).toEqual(before);
    expect(await engine.ok("run", "--rm", `second-${which}:1`, "cat", "/more")).toBe(which);
    await engine.ok("rmi", `first-${which}:1`, `second-${which}:1`);
    expect((await one("save", "-o", path, "nothing:here")).stderr).toContain("nothing:here");
  });

  test("tag, images, rmi by name, by id and by force", async () => {
    await load(dockerArchive(`base-${which}:1`, [plainLayer(tar({ name: `only-${which}` }))]));
    const base = await id(`base-${which}:1`);
    await one("tag", `base-${which}:1`, `other-${which}`);
    const listed = (await one("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "--no-trunc")).stdout;
    expect(listed).toContain(`base-${which}:1 ${base}`);
    expect(listed).toContain(`other-${which}:latest ${base}`);
    expect((await one("rmi", `base-${which}:1`)).stdout).toBe(`Untagged: base-${which}:1\n`);
    expect(await id(`other-${which}`)).toBe(base);
    await one("tag", base, `third-${which}:x`);
    expect((await one("rmi", base.slice(7, 19))).stderr).toContain("must be forced");
    const removed = (await one("rmi", "-f", base.slice(7, 19))).stdout;
    expect(removed).toContain(`Untagged: other-${which}:latest`);
    expect(removed).toContain(`Untagged: third-${which}:x`);
    expect(removed).toContain(`Deleted: ${base}`);
    expect((await one("rmi", base)).stderr).toContain("No such image");
    expect((await one("tag", "nothing:here", "x:y")).stderr).toContain("No such image: nothing:here");
    expect((await one("tag", "busybox", "UPPER")).code).toBe(1);
  });

  test("rmi leaves an image alone that a container uses", async () => {
    await load(dockerArchive(`used-${which}:1`, [gzipLayer(rootfs), plainLayer(tar({ name: `u-${which}` }))]));
    const container = await engine.ok("run", "-d", `used-${which}:1`, "sleep", "100000");
    const refusal = (await one("rmi", `used-${which}:1`)).stderr;
    expect(refusal).toMatch(
      /conflict: unable to remove repository reference .* \(must force\) - container .* is using its referenced image/,
    );
    expect((await one("rmi", "-f", await id(`used-${which}:1`))).stderr).toMatch(
      /cannot be forced\) - image is being used by running container/,
    );
    expect(await engine.ok("exec", container, "ls", `/u-${which}`)).toBe(`/u-${which}`);
    await engine.ok("rm", "-f", container);
    await engine.ok("rmi", `used-${which}:1`);
  });

  test("import takes a root file system and changes, from standard input and from a file", async () => {
    const changes = [
      "ENV A=b c=d",
      'ENTRYPOINT ["cat"]',
      'CMD ["/etc/passwd"]',
      "EXPOSE 80/tcp",
      "LABEL x=y",
      "USER alice",
      "WORKDIR /tmp",
      "VOLUME /v",
    ];
    const flags = changes.flatMap((change) => ["--change", change]);
    const { stdout, code } = await cli(
      which,
      engine.host,
      ["import", ...flags, "-m", "why", "-", `imported-${which}:1`],
      { stdin: rootfs },
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const { Config, Comment } = (await call(engine, `GET /images/imported-${which}:1/json`)).json;
    expect(Config).toMatchObject({
      Env: ["A=b", "c=d"],
      Entrypoint: ["cat"],
      Cmd: ["/etc/passwd"],
      ExposedPorts: { "80/tcp": {} },
      Labels: { x: "y" },
      User: "alice",
      WorkingDir: "/tmp",
      Volumes: { "/v": {} },
    });
    expect(Comment).toBe("why");
    expect(await engine.ok("run", "--rm", `imported-${which}:1`)).toContain("alice:x:1000");
    const path = `${engine.directory}/rootfs-${which}.tar.gz`;
    await Bun.write(path, Bun.gzipSync(Buffer.from(rootfs)));
    expect((await one("import", path, `file-${which}`)).code).toBe(0);
    expect(await engine.ok("run", "--rm", `file-${which}`, "echo", "runs")).toBe("runs");
    const bad = await cli(which, engine.host, ["import", "--change", "RUN x", "-", "bad"], { stdin: rootfs });
    expect(bad.code).not.toBe(0);
    expect(bad.stderr).toMatch(/run is not a valid change command/i);
    await engine.ok("rmi", `imported-${which}:1`, `file-${which}`);
  });

  test("history and inspect", async () => {
    mkdirSync(`${engine.directory}/h-${which}`);
    await Bun.write(`${engine.directory}/h-${which}/Dockerfile`, "FROM busybox\nENV A=b\nRUN echo x > /x\n");
    await engine.ok("build", "-q", "-t", `hist-${which}`, `${engine.directory}/h-${which}`);
    const lines = (await one("history", "--no-trunc", "--format", "{{.CreatedBy}}", `hist-${which}`)).stdout
      .replace(/\n$/, "")
      .split("\n");
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain("echo x > /x");
    expect(lines[1]).toContain("ENV A=b");
    const [inspected] = JSON.parse((await one("image", "inspect", `hist-${which}`)).stdout);
    expect(inspected).toMatchObject({ RepoTags: [`hist-${which}:latest`], Os: "linux", RootFS: { Type: "layers" } });
    expect(inspected.RootFS.Layers).toHaveLength(2);
    await engine.ok("rmi", `hist-${which}`);
  });

  test("filters of images", async () => {
    await cli(which, engine.host, ["import", "--change", "LABEL only=this", "-", `labelled-${which}:1`], {
      stdin: rootfs,
    });
    const names = async (...filters: string[]) =>
      (await one("images", "--format", "{{.Repository}}", ...filters.flatMap((one) => ["--filter", one]))).stdout
        .trim()
        .split("\n");
    expect(await names("label=only=this")).toEqual([`labelled-${which}`]);
    expect(await names(`reference=labelled*:1`)).toEqual([`labelled-${which}`]);
    expect(await names("reference=nothing")).toEqual([""]);
    expect(await names(`since=busybox`)).toContain(`labelled-${which}`);
    expect(await names(`before=labelled-${which}:1`)).not.toContain(`labelled-${which}`);
    expect((await one("images", "--filter", "nonsense=1")).stderr).toContain("invalid filter 'nonsense'");
    await engine.ok("tag", "busybox", `labelled-${which}:1`);
    expect((await one("images", "-q", "--filter", "dangling=true")).stdout.trim()).toMatch(/^[0-9a-f]{12}$/);
    expect((await one("image", "prune", "-f")).stdout).toContain("Deleted Images:");
    expect((await one("images", "-q", "--filter", "dangling=true")).stdout.trim()).toBe("");
    await engine.ok("rmi", `labelled-${which}:1`);
  });
});

test("128 layers", async () => {
  const layers = [
    plainLayer(rootfs),
    ...Array.from({ length: 127 }, (_, index) =>
      plainLayer(
        tar(
          { name: `layer${index}`, data: `${index}` },
          { name: "last", data: `${index}` },
          ...(index === 126 ? [{ name: ".wh.layer5" }] : []),
        ),
      ),
    ),
  ];
  expect((await load(dockerArchive("tall:1", layers))).code).toBe(0);
  expect(
    await engine.ok(
      "run",
      "--rm",
      "tall:1",
      "sh",
      "-c",
      "cat /last; echo; ls / | grep -c layer; test -e /layer5 || echo hidden",
    ),
  ).toBe("126\n126\nhidden");
  const container = await engine.ok("run", "-d", "tall:1", "touch", "/new");
  await engine.ok("wait", container);
  expect(await engine.ok("diff", container)).toBe("A /new");
  await engine.ok("commit", container, "taller:1");
  expect(await engine.ok("run", "--rm", "taller:1", "ls", "/new")).toBe("/new");
  await engine.ok("rm", container);
  await engine.ok("rmi", "taller:1", "tall:1");
});

test("everything that a layer can hold survives load, save and load", async () => {
  const capability = Buffer.from("0100000200040000000000000000000000000000", "hex");
  const entries: Entry[] = [
    { name: "d/", type: "directory", mode: 0o1751, uid: 5, gid: 6, mtime: 86400 },
    { name: "d/setuid", mode: 0o6755, uid: 7, gid: 8, mtime: 1234567890, data: "x" },
    { name: "d/hard", type: "hardlink", link: "d/setuid" },
    { name: "d/soft", type: "symlink", link: "../nowhere/at all" },
    { name: "d/fifo", type: "fifo", mode: 0o600 },
    { name: "d/char", type: "char", device: [1, 3], mode: 0o666 },
    { name: "d/block", type: "block", device: [7, 9], mode: 0o660 },
    {
      name: "d/caps",
      mode: 0o755,
      data: "x",
      pax: { "SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "kept" },
    },
    { name: "d/precise", data: "", pax: { mtime: "1600000000.123456789" } },
    { name: "d/long", data: "y", pax: { path: `d/${"n".repeat(240)}` } },
    { name: "d/zeros", data: Buffer.alloc(3 << 20) },
  ];
  const layers = [plainLayer(rootfs), plainLayer(tar(...entries))];
  expect((await load(dockerArchive("odd:1", layers))).code).toBe(0);
  const look =
    "cd /d; stat -c '%n %a %u %g %s %h %F %t:%T' .[!.]* * . 2>/dev/null; readlink soft; stat -c %Y setuid . ; stat -c %y precise; sha256sum zeros; test setuid -ef hard && echo same";
  const before = await engine.ok("run", "--rm", "odd:1", "sh", "-c", look);
  expect(before).toContain("setuid 6755 7 8 1 2 regular file");
  expect(before).toContain("char 666 0 0 0 1 character special file 1:3");
  expect(before).toContain("block 660 0 0 0 1 block special file 7:9");
  expect(before).toContain("fifo 600 0 0 0 1 fifo");
  expect(before).toContain("../nowhere/at all");
  expect(before).toContain("1234567890\n86400");
  expect(before).toContain("2020-09-13 12:26:40.123456789");
  expect(before).toContain("\nsame");
  expect(before).toContain(`${"n".repeat(240)} 644`);
  const saved = await call(engine, "GET /images/odd:1/get").then(() =>
    Bun.$`docker -H ${engine.host} save odd:1`.quiet().arrayBuffer(),
  );
  const image = await id("odd:1");
  await engine.ok("rmi", "odd:1");
  expect((await load(new Uint8Array(saved))).code).toBe(0);
  expect(await id("odd:1")).toBe(image);
  expect(await engine.ok("run", "--rm", "odd:1", "sh", "-c", look)).toBe(before);
  const container = await engine.ok("run", "-d", "odd:1", "sleep", "100000");
  const pid = await engine.ok("inspect", "-f", "{{.State.Pid}}", container);
  const program = "import os, sys; print(*(os.getxattr(sys.argv[1], name).hex() for name in sys.argv[2:]))";
  const file = `/proc/${pid}/root/d/caps`;
  const attributes = await Bun.$`python3 -c ${program} ${file} security.capability user.note`.quiet().text();
  expect(attributes.trim()).toBe(`${capability.toString("hex")} 6b657074`);
  await engine.ok("rm", "-f", container);
  await engine.ok("rmi", "odd:1");
});

test("the image's id is the digest of its config, and its layers are the digests of their archives", async () => {
  const layer = plainLayer(rootfs);
  await load(dockerArchive("digest:1", [layer]));
  const { Id, RootFS } = (await call(engine, "GET /images/digest:1/json")).json;
  expect(RootFS.Layers).toEqual([sha256(rootfs)]);
  const saved = new Uint8Array(await Bun.$`docker -H ${engine.host} save digest:1`.quiet().arrayBuffer());
  await Bun.write(`${engine.directory}/d.tar`, saved);
  const config = await Bun.$`tar -xOf ${engine.directory}/d.tar blobs/sha256/${Id.slice(7)}`.quiet().text();
  expect(sha256(config)).toBe(Id);
  await engine.ok("rmi", "digest:1");
});

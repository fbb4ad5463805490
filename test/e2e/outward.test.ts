import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { call } from "../support/api.ts";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { everything } from "../support/everything.ts";
import { busyboxRootfs, dockerArchive, importBusybox, plainLayer } from "../support/images.ts";
import { type Entry, tar } from "../support/tar.ts";
import { until } from "../support/until.ts";

let engine: Engine;
let before: object;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());
beforeEach(async () => {
  before = await everything(engine);
});
afterEach(async () => {
  await until("nothing is left behind", async () => Bun.deepEquals(await everything(engine), before)).catch(
    () => undefined,
  );
  expect(await everything(engine)).toEqual(before);
});

const load = (archive: Uint8Array) => cli("docker", engine.host, ["load"], { stdin: archive });

const ways: readonly [string, readonly Entry[]][] = [
  ["a name with ..", [{ name: "../escaped", data: "x" }]],
  ["a name that climbs out later", [{ name: "a/../../../../tmp/escaped", data: "x" }]],
  [
    "a link out and a file through it",
    [
      { name: "l", type: "symlink", link: "/tmp" },
      { name: "l/escaped", data: "x" },
    ],
  ],
  [
    "a relative link out and a file through it",
    [
      { name: "l", type: "symlink", link: "../../../../../../../tmp" },
      { name: "l/escaped", data: "x" },
    ],
  ],
  ["a hard link to a file outside", [{ name: "h", type: "hardlink", link: "../../../../../../etc/shadow" }]],
  [
    "a hard link through a link out",
    [
      { name: "l", type: "symlink", link: "/etc" },
      { name: "h", type: "hardlink", link: "l/shadow" },
    ],
  ],
];

/** Some of these are refused, and some stay inside: what matters is that nothing gets out, and no file of the host gets in. */
async function staysInside(image: string): Promise<void> {
  const { stdout } = await engine.docker(
    "run",
    "--rm",
    image,
    "sh",
    "-c",
    "cat /h /escaped /tmp/escaped 2>/dev/null; true",
  );
  expect(stdout).not.toMatch(/^root:[^x]/m);
}

describe.each(ways)("an archive with %s", (_, entries) => {
  test("loaded as a layer", async () => {
    const archive = dockerArchive("outward:1", [plainLayer(busyboxRootfs()), plainLayer(tar(...entries))]);
    if ((await load(archive)).code === 0) await staysInside("outward:1");
    await engine.docker("rmi", "-f", "outward:1");
    await engine.docker("builder", "prune", "-a", "-f");
  });

  test("imported", async () => {
    const { code } = await cli("docker", engine.host, ["import", "-", "outward:2"], {
      stdin: busyboxRootfs(...entries),
    });
    if (code === 0) await staysInside("outward:2");
    await engine.docker("rmi", "-f", "outward:2");
  });

  test("as a build context", async () => {
    const dockerfile: Entry = {
      name: "Dockerfile",
      data: "FROM busybox\nCOPY . /ctx/\nRUN cat /ctx/h /ctx/l/escaped 2>/dev/null; true\n",
    };
    const answer = await call(engine, "POST /build?t=outward:3", tar(dockerfile, ...entries));
    expect(answer.text).not.toMatch(/root:[^x:]/);
    await engine.docker("rmi", "-f", "outward:3");
    await engine.docker("builder", "prune", "-a", "-f");
  });

  test("unpacked by ADD", async () => {
    const dockerfile: Entry = {
      name: "Dockerfile",
      data: "FROM busybox\nADD out.tar /ctx/\nRUN cat /ctx/h 2>/dev/null; true\n",
    };
    const answer = await call(
      engine,
      "POST /build?t=outward:4",
      tar(dockerfile, { name: "out.tar", data: tar(...entries) }),
    );
    expect(answer.text).not.toMatch(/root:[^x:]/);
    await engine.docker("rmi", "-f", "outward:4");
    await engine.docker("builder", "prune", "-a", "-f");
  });
});

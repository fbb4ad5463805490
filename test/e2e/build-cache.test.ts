import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { cli, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { type Registry, startRegistry } from "../support/registry.ts";

/** Debian's docker CLI, the last with a BuildKit client inside: `./dev test` fetches it. */
const oldDocker = new URL("../../.cache/docker/docker.real", import.meta.url).pathname;

let registry: Registry;
let engines: { readonly first: Engine; readonly second: Engine };
let directory: string;
beforeAll(async () => {
  registry = await startRegistry();
  const [first, second] = [await startEngine(), await startEngine()];
  engines = { first, second };
  for (const engine of [first, second]) await importBusybox(engine);
  directory = mkdtempSync(`${tmpdir()}/berth-cache-`);
  writeFileSync(`${directory}/file`, "content");
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await engines.first[Symbol.asyncDispose]();
  await engines.second[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

const dockerfile = (last: string) => `FROM busybox AS made
RUN head -c 300000 /dev/urandom > /random
FROM busybox
WORKDIR /work
RUN date +%N > now && true
COPY --from=made /random .
COPY file .
RUN echo ${last} > last
`;

/** Every test begins with nothing on the second engine. */
beforeEach(async () => {
  writeFileSync(`${directory}/Dockerfile`, dockerfile("one"));
  await engines.second.berth("builder", "prune", "-af");
});

async function build(on: keyof typeof engines, ...flags: string[]) {
  const tag = `built-${on}`;
  const made = await cli("berth", engines[on].host, ["build", "-t", tag, ...flags, "."], {
    cwd: directory,
  });
  const said = made.stdout + made.stderr;
  const layers = await engines[on].berth("image", "inspect", "-f", "{{json .RootFS.Layers}}", tag);
  return { code: made.code, said, layers: layers.stdout, cached: said.match(/Using cache/g)?.length ?? 0 };
}

const steps = 6;

describe.each(["registry", "local"] as const)("type=%s", (type) => {
  const place = (end: "ref" | "dest" | "src", name: string) =>
    type === "registry" ? `type=registry,ref=${registry.host}/${name}` : `type=local,${end}=${directory}/${name}`;

  test("mode=max gives a second engine every step, with the same layers; a changed one runs alone", async () => {
    const first = await build("first", "--cache-to", `${place("dest", "max")},mode=max`);
    expect([first.code, first.code === 0 ? "" : first.said]).toEqual([0, ""]);
    const second = await build("second", "--cache-from", place("src", "max"));
    expect([second.cached, second.layers]).toEqual([steps, first.layers]);
    expect(await engines.second.ok("run", "--rm", "built-second", "cat", "/work/file", "/work/last")).toBe(
      "contentone",
    );
    await engines.second.berth("builder", "prune", "-af");
    writeFileSync(`${directory}/Dockerfile`, dockerfile("two"));
    const changed = await build("second", "--cache-from", place("src", "max"));
    expect(changed.cached).toBe(steps - 1);
    expect(JSON.parse(changed.layers).slice(0, -1)).toEqual(JSON.parse(first.layers).slice(0, -1));
    expect(await engines.second.ok("run", "--rm", "built-second", "sh", "-c", "cat last; wc -c < random")).toBe(
      "two\n300000",
    );
  });

  test("mode=min has the result's steps, which need no other stage as long as nothing changes", async () => {
    const first = await build("first", "--cache-to", place("dest", "min"));
    const second = await build("second", "--cache-from", place("src", "min"));
    expect([first.code, second.cached, second.layers]).toEqual([0, steps, first.layers]);
    await engines.second.berth("builder", "prune", "-af");
    writeFileSync(`${directory}/Dockerfile`, dockerfile("one").replace("300000", "200000"));
    expect((await build("second", "--cache-from", place("src", "min"))).cached).toBe(2);
  });

  test("a cache that is missing or broken is a warning", async () => {
    const missing = await build("second", "--cache-from", place("src", "none"));
    expect([missing.code, missing.cached, missing.said]).toEqual([0, 0, expect.stringMatching(/warning/i)]);
    if (type === "registry") return;
    await build("first", "--cache-to", place("dest", "broken"));
    const blobs = `${directory}/broken/blobs/sha256`;
    for (const blob of readdirSync(blobs)) writeFileSync(`${blobs}/${blob}`, "broken");
    await engines.second.berth("builder", "prune", "-af");
    const broken = await build("second", "--cache-from", place("src", "broken"));
    expect([broken.code, broken.cached, broken.said]).toEqual([0, 0, expect.stringContaining("verification failed")]);
  });
});

test("a directory's caches have tags; other kinds are refused; what cannot be written fails unless that is ignored", async () => {
  const dest = `type=local,dest=${directory}/tagged`;
  await build("first", "--cache-to", `${dest},tag=a`);
  writeFileSync(`${directory}/Dockerfile`, dockerfile("b"));
  await build("first", "--cache-to", `${dest},tag=b`);
  const { manifests } = JSON.parse(readFileSync(`${directory}/tagged/index.json`, "utf8"));
  const names = manifests.map((one: { annotations: Record<string, string> }) => Object.values(one.annotations));
  expect(names).toEqual([["a"], ["b"]]);
  expect(existsSync(`${directory}/tagged/oci-layout`)).toBe(true);
  expect(await build("first", "--cache-to", "type=gha")).toMatchObject({
    code: 1,
    said: expect.stringContaining("build with cache-to type=gha is not implemented by Berth"),
  });
  writeFileSync(`${directory}/Dockerfile`, "FROM busybox\nRUN echo refused > /refused\n");
  const nowhere = `type=local,dest=${directory}/file/below`;
  expect((await build("first", "--cache-to", nowhere)).code).toBe(1);
  const ignored = await build("first", "--cache-to", `${nowhere},ignore-error=true`);
  expect([ignored.code, ignored.said]).toEqual([0, expect.stringContaining("[Warning] exporting cache to client")]);
});

test("docker's CLI with BuildKit looks into a cache of a registry", async () => {
  await build("first", "--cache-to", `type=registry,ref=${registry.host}/docker,mode=max`);
  const argv = ["build", "--progress=plain", "--cache-from", `${registry.host}/docker`, "."];
  const child = Bun.spawn([oldDocker, ...argv], {
    ...{ cwd: directory, stdout: "pipe", stderr: "pipe" },
    env: { ...cliEnv(engines.second.host), DOCKER_BUILDKIT: "1" },
  });
  const [said] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  expect(said).toContain(`importing cache manifest from ${registry.host}/docker`);
  expect(said.match(/CACHED/g)).toHaveLength(steps + 1);
});

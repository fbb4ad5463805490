import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { cli, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { type Registry, startRegistry } from "../support/registry.ts";

/** With SOURCE_DATE_EPOCH an image is the same wherever and whenever it is built. */
let registry: Registry;
let engines: readonly Engine[];
let directory: string;
beforeAll(async () => {
  registry = await startRegistry();
  const flags = ["--insecure-registry", registry.host];
  engines = [await startEngine(flags), await startEngine([...flags, "--runtime", Bun.which("runc") ? "runc" : "auto"])];
  directory = mkdtempSync("/tmp/berth-e2e-same-");
  const [first] = engines;
  if (!first) throw new TypeError("no engine");
  await importBusybox(first);
  // The base is the same image on both: its own time is not the build's to choose.
  await first.ok("tag", "busybox", `${registry.host}/base`);
  await first.ok("push", `${registry.host}/base`);
});
afterAll(async () => {
  for (const engine of engines) await engine[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const names = Array.from({ length: 30 }, (_, index) => `d${index % 3}/f${index}`);

/** The same files, made in another order, at another time, under another umask. */
function context(which: string, { order, time }: { order: readonly string[]; time: number }): string {
  const place = `${directory}/${which}`;
  const before = process.umask(which === "a" ? 0o077 : 0o002);
  const Dockerfile = `FROM ${registry.host}/base AS maker
WORKDIR /made
RUN for i in 9 3 7 1; do echo $i > $i; done; ln 9 again; ln -s 9 link; mkfifo p; touch -d @2000000000 late
FROM ${registry.host}/base
LABEL b=1 a=2
ENV Z=1 A=2
COPY --chmod=u=rwX,go=rX . /ctx/
COPY --from=maker /made /made
ADD a.tar /added/
RUN mkdir -p /var/x && rm /ctx/d0/f0 && chmod 700 /made
EXPOSE 80 53/udp
`;
  mkdirSync(place);
  for (const name of order) {
    mkdirSync(`${place}/${name.split("/")[0]}`, { recursive: true });
    writeFileSync(`${place}/${name}`, name);
    utimesSync(`${place}/${name}`, time, time);
  }
  writeFileSync(`${place}/Dockerfile`, Dockerfile);
  Bun.spawnSync([
    "tar",
    "-C",
    place,
    "--sort=name",
    "--mtime=@1",
    "--mode=644",
    "--owner=5",
    "-cf",
    `${place}/a.tar`,
    "d1/f1",
  ]);
  process.umask(before);
  chmodSync(place, 0o755);
  return place;
}

test("two daemons give one image and one manifest", async () => {
  const contexts = [
    context("a", { order: names, time: 1_600_000_000 }),
    context("b", { order: names.toReversed(), time: 1_700_000_000 }),
  ];
  const results = [];
  for (const [index, engine] of engines.entries()) {
    const tag = `${registry.host}/same:${index}`;
    const built = await cli(index === 0 ? "docker" : "berth", engine.host, [
      ...["build", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1500000000", "-t", tag, contexts[index] ?? ""],
    ]);
    expect([built.code, built.stderr]).toEqual([0, expect.any(String)]);
    const pushed = await engine.ok("push", tag);
    const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushed)?.[1];
    const layers = await engine.ok("inspect", "-f", "{{json .RootFS.Layers}} {{.Created}}", tag);
    results.push({ layers, id: await engine.ok("inspect", "-f", "{{.Id}}", tag), digest });
    await Bun.sleep(1100); // another second on the clock
  }
  expect(results[0]?.digest).toBeDefined();
  expect(results[1]).toEqual(results[0]);
  expect(results[0]?.layers).toMatch(/2017-07-14T02:40:00(\.000)?Z$/);
});

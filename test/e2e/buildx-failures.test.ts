import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { type PluginCli, type PluginOptions, pluginCli } from "../support/plugins.ts";

/** What docker's own buildx shows of a build that fails. */
let engine: Engine;
let docker: PluginCli;
beforeAll(async () => {
  engine = await startEngine();
  docker = pluginCli(engine);
  await importBusybox(engine);
});
afterAll(() => engine[Symbol.asyncDispose]());

let contexts = 0;
function context(dockerfile: string): string {
  const directory = `${engine.directory}/context${contexts++}`;
  mkdirSync(directory);
  writeFileSync(`${directory}/Dockerfile`, dockerfile);
  return directory;
}
const buildx = (argv: readonly string[], options: PluginOptions) =>
  docker.run(["buildx", "build", "--progress=plain", ...argv], options);

test("what failed is shown in the Dockerfile, once, in BuildKit's words", async () => {
  const resolving = "localhost:1/x: failed to resolve source metadata for localhost:1/x:latest: failed to do request: ";
  const checksum = "failed to compute cache key: failed to calculate checksum of ref [a-z0-9:]+: ";
  const failing: [string, string, string][] = [
    ["FROM busybox\nRUNN x\n", "   2 | >>> RUNN x\n", "dockerfile parse error on line 2: unknown instruction: RUNN"],
    ["FROM busybox\nRUN true; \\\n  exit 3\n", "   2 | >>> RUN true; \\\n   3 | >>>   exit 3\n", "process "],
    ["FROM busybox\nCOPY nosuch /x\n", "   2 | >>> COPY nosuch /x\n", `${checksum}"/nosuch": not found`],
    ["FROM busybox\nCOPY --from=localhost:1/x / /\n", "   2 | >>> COPY --from=localhost:1/x / /\n", resolving],
    [`FROM busybox\n${"# é\n".repeat(9000)}RUN exit 4\n`, " 9002 | >>> RUN exit 4\n", "process "],
  ];
  await docker.run(["buildx", "create", "--name", "shown", "--driver", "remote", engine.host], {
    cwd: engine.directory,
  });
  for (const builder of ["default", "shown"]) {
    for (const [dockerfile, lines, words] of failing) {
      const cwd = context(dockerfile);
      const { code, stderr } = await buildx(["--builder", builder, "."], { cwd });
      expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`\nERROR: failed to solve: ${words}`))]);
      expect([stderr, stderr.split(lines).length]).toEqual([stderr, 2]);
      expect(stderr).toMatch(/\nDockerfile:\d+\n-{20}\n/);
    }
  }
  expect((await docker.run(["buildx", "rm", "shown"], { cwd: engine.directory })).code).toBe(0);
  const asked = ["buildx", "build", "--print=outline", "."];
  const cwd = context("FROM busybox\nRUNN x\n");
  const outlined = await docker.run(asked, { cwd, env: { BUILDX_EXPERIMENTAL: "1" } });
  expect([outlined.code, outlined.stderr.split("   2 | >>> RUNN x\n").length]).toEqual([1, 2]);
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { clientEngine } from "./engine.ts";

/** Every method of the Python file is a test here; Debian's own interpreter has Debian's docker-py. */
const directory = `${import.meta.dir}/python`;
let engine: Awaited<ReturnType<typeof clientEngine>>;

beforeAll(async () => {
  engine = await clientEngine();
});
afterAll(() => engine[Symbol.asyncDispose]());

for (const name of methods(readFileSync(`${directory}/test_docker.py`, "utf8"))) {
  test(`docker-py: ${name}`, async () => {
    const child = Bun.spawn(["/usr/bin/python3", "-B", "-W", "ignore", "-m", "unittest", `test_docker.${name}`], {
      cwd: directory,
      env: { ...process.env, DOCKER_HOST: engine.host },
      stdout: "pipe",
      stderr: "pipe",
      timeout: 60_000,
    });
    const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    expect(code === 0 ? "" : stderr).toBe("");
    expect(stderr).toContain("Ran 1 test");
  });
}

function methods(source: string): string[] {
  let owner = "";
  return source.split("\n").flatMap((line) => {
    owner = /^class (\w+)/.exec(line)?.[1] ?? owner;
    const method = /^ {4}def (test_\w+)/.exec(line)?.[1];
    return method === undefined ? [] : [`${owner}.${method}`];
  });
}

import { mkdirSync } from "node:fs";
import { berth, cli, startEngine } from "./support/engine.ts";
import { kernelState } from "./support/leaks.ts";
import { type Registry, startRegistry } from "./support/registry.ts";

/**
 * Every stage in turn, each of which may fail without keeping the next from running, and at the end one line with the sums.
 * `test/run NAME…` runs only the stages named.
 */
const root = new URL("..", import.meta.url).pathname;
const totals = { passed: 0, failed: 0 };

interface Stage {
  readonly name: string;
  run(): Promise<void>;
}

async function main(): Promise<number> {
  const wanted = process.argv.slice(2);
  const unknown = wanted.find((name) => !stages.some((stage) => stage.name === name));
  if (unknown) throw new Error(`no stage called ${unknown}: ${stages.map(({ name }) => name).join(" ")}`);
  const before = await kernelState();
  for (const stage of stages) {
    if (wanted.length > 0 && !wanted.includes(stage.name)) continue;
    say(`==> ${stage.name}`);
    const start = Date.now();
    try {
      await stage.run();
    } catch (err) {
      count(stage.name, false, err instanceof Error ? err.message : String(err));
    }
    say(`    ${stage.name}: ${((Date.now() - start) / 1000).toFixed(0)} s`);
  }
  await checkLeaks(before);
  say(`${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed === 0 ? 0 : 1;
}

const stages: readonly Stage[] = [
  { name: "check", run: () => expectSuccess("./dev check", ["./dev", "check"]) },
  { name: "unit", run: () => bunTest("src") },
  { name: "acceptance", run: acceptance },
  { name: "e2e", run: () => bunTest("test/e2e") },
];

/** Builds the images, pushes them into a registry, and runs the chapter and the corpus on engines that have only that registry as their mirror. */
async function acceptance(): Promise<void> {
  await using mirror = await startRegistry();
  await buildImages(mirror);
  await using registry = await startRegistry();
  for (const which of ["docker", berth]) {
    await using engine = await startEngine(["--registry-mirror", `http://${mirror.host}`]);
    await counted(
      `chapter1 with ${which}`,
      ["test/acceptance/chapter1", "--host", engine.host, "--cli", which, "--registry", registry.host],
      /(\d+) passed, (\d+) failed/,
    );
    await emptyRegistry(registry);
  }
  await using engine = await startEngine(["--registry-mirror", `http://${mirror.host}`]);
  const argv = ["test/conformance/run", "test/conformance/cases"];
  await counted("Dockerfile conformance", argv, /builder: (\d+)\/(\d+) cases passed/, { DOCKER_HOST: engine.host });
}

/** The chapter wants a registry that is empty: what it pushed has to go. */
async function emptyRegistry({ host }: Registry): Promise<void> {
  const repository = `http://${host}/v2/team/ch1-app/manifests`;
  const head = await fetch(`${repository}/1.0`, { method: "HEAD", headers: { Accept: "*/*" } });
  const digest = head.headers.get("docker-content-digest");
  if (digest) await fetch(`${repository}/${digest}`, { method: "DELETE" });
}

async function buildImages(mirror: Registry): Promise<void> {
  await using engine = await startEngine();
  await expectSuccess("images/build", ["images/build"], { BERTH_HOST: engine.host, BERTH: berth });
  for (const name of ["debian:bookworm", "nginx:latest", "httpd:2.4", "postgres:latest"]) {
    const target = `${mirror.host}/library/${name}`;
    await cli("berth", engine.host, ["tag", name, target]);
    const pushed = await cli("berth", engine.host, ["push", target]);
    count(`push ${name} into the mirror`, pushed.code === 0, pushed.stderr);
  }
}

async function bunTest(path: string): Promise<void> {
  const output = await run([process.execPath, "test", "--timeout", "120000", path]);
  const passed = /^ *(\d+) pass$/m.exec(output.text)?.[1];
  const failed = /^ *(\d+) fail$/m.exec(output.text)?.[1];
  if (passed === undefined) return count(`bun test ${path}`, false, "no summary");
  totals.passed += Number(passed);
  totals.failed += Number(failed ?? 0);
  if (output.code !== 0 && Number(failed ?? 0) === 0) count(`bun test ${path}`, false, `exit status ${output.code}`);
}

async function counted(
  name: string,
  argv: readonly string[],
  summary: RegExp,
  env: Record<string, string> = {},
): Promise<void> {
  const output = await run(argv, env);
  const match = [...output.text.matchAll(new RegExp(summary, "g"))].at(-1);
  if (!match) return count(name, false, `no summary, exit status ${output.code}`);
  const [passed, second] = [Number(match[1]), Number(match[2])];
  totals.passed += passed;
  totals.failed += summary.source.includes("cases") ? second - passed : second;
}

async function expectSuccess(name: string, argv: readonly string[], env: Record<string, string> = {}): Promise<void> {
  const { code } = await run(argv, env);
  count(name, code === 0, `exit status ${code}`);
}

async function run(argv: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; text: string }> {
  const child = Bun.spawn([...argv], {
    cwd: root,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, NO_COLOR: "1", ...env },
  });
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    let text = "";
    for await (const chunk of stream) {
      process.stdout.write(chunk);
      text += Buffer.from(chunk).toString();
    }
    return text;
  };
  const [out, err, code] = await Promise.all([collect(child.stdout), collect(child.stderr), child.exited]);
  return { code, text: out + err };
}

async function checkLeaks(before: ReadonlySet<string>): Promise<void> {
  const left = [...(await kernelState())].filter((one) => !before.has(one));
  count("nothing is left behind", left.length === 0, left.slice(0, 20).join("; "));
}

function count(name: string, good: boolean, why = ""): void {
  if (good) totals.passed++;
  else totals.failed++;
  say(good ? `ok    ${name}` : `FAIL  ${name}: ${why}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

mkdirSync(`${root}/.cache`, { recursive: true });
process.exit(await main());

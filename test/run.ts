import { mkdirSync } from "node:fs";
import { berth, cli, type Engine, startEngine } from "./support/engine.ts";
import { kernelState } from "./support/leaks.ts";
import { type Registry, startRegistry } from "./support/registry.ts";
import { until } from "./support/until.ts";

/**
 * Every stage in turn, each of which may fail without keeping the next from running, and at the end one line with the sums.
 * `test/run NAME…` runs only the stages named.
 */
const root = new URL("..", import.meta.url).pathname;
const totals = { passed: 0, failed: 0 };
/** Tests of what this host has not, such as AppArmor or systemd. */
const skipped = new Set<string>();

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
  await (await mirror)?.[Symbol.asyncDispose]();
  await takeBackHierarchies(before);
  await checkLeaks(before);
  for (const line of skipped) say(`${line}: this host lacks what it needs`);
  say(`${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed === 0 ? 0 : 1;
}

const stages: readonly Stage[] = [
  { name: "check", run: () => expectSuccess("./dev check", ["./dev", "check"]) },
  { name: "unit", run: () => bunTest("src") },
  { name: "chapter", run: () => onMirror(chapter) },
  { name: "conformance", run: () => onMirror(conformance) },
  { name: "differential", run: differential },
  { name: "clients", run: () => bunTest("test/clients") },
  { name: "e2e", run: () => bunTest("test/e2e") },
];

/** The registry that stands for Docker Hub, filled once for all stages that need it. */
let mirror: Promise<Registry> | undefined;

async function onMirror(body: (mirror: Registry) => Promise<void>): Promise<void> {
  mirror ??= fillMirror();
  await body(await mirror);
}

/** The mission, with docker's CLI and with Berth's own, each on an engine that has to pull its images from the mirror. */
async function chapter({ host }: Registry): Promise<void> {
  await using registry = await startRegistry();
  for (const which of ["docker", berth]) {
    await using engine = await startEngine(["--registry-mirror", `http://${host}`]);
    for (const image of images) {
      const pulled = await cli("berth", engine.host, ["pull", "--quiet", image]);
      count(`pull ${image} through the mirror`, pulled.code === 0, pulled.stderr);
    }
    const argv = ["test/acceptance/chapter1", "--host", engine.host, "--cli", which, "--registry", registry.host];
    await counted(`chapter1 with ${which}`, argv, { summary: /(\d+) passed, (\d+) failed/ });
    await emptyRegistry(registry);
  }
}

/** The Dockerfile corpus, through the docker CLI. */
async function conformance({ host }: Registry): Promise<void> {
  await using engine = await startEngine(["--registry-mirror", `http://${host}`]);
  const env = { DOCKER_HOST: engine.host };
  await counted("Dockerfile conformance", ["test/conformance/run", "test/conformance/cases"], {
    summary: /builder: (\d+)\/(\d+) cases passed/,
    env,
  });
}

/** What a dockerd answered once, and what Berth answers now. */
async function differential(): Promise<void> {
  await bunTest("test/differential");
  await counted("differential", ["test/differential/run"], { summary: /(\d+) passed, (\d+) failed/ });
}

/** The chapter wants a registry that is empty: what it pushed has to go. */
async function emptyRegistry({ host }: Registry): Promise<void> {
  const repository = `http://${host}/v2/team/ch1-app/manifests`;
  const head = await fetch(`${repository}/1.0`, { method: "HEAD", headers: { Accept: "*/*" } });
  const digest = head.headers.get("docker-content-digest");
  if (digest) await fetch(`${repository}/${digest}`, { method: "DELETE" });
}

const images = ["debian:bookworm", "nginx:latest", "httpd:2.4", "postgres:latest"];

/** Builds the images from nothing, then again from the cache, and pushes them under Docker Hub's names. */
async function fillMirror(): Promise<Registry> {
  const filled = await startRegistry();
  await using engine = await startEngine();
  const env = { BERTH_HOST: engine.host, BERTH: berth };
  await expectSuccess("images/build", ["images/build"], env);
  const again = await run(["images/build"], env);
  count("images/build from the cache", again.code === 0, `exit status ${again.code}`);
  const [steps, cached] = [/^Step \d+\/\d+ : (?:RUN|COPY|WORKDIR) /gm, /^ ---> Using cache$/gm].map(
    (line) => again.text.match(line)?.length ?? 0,
  );
  count("images/build runs no step twice", steps !== 0 && steps === cached, `${steps} steps, ${cached} from the cache`);
  for (const name of ["hello-java", "hello-node"]) await greets(engine, name);
  for (const name of images) {
    const target = `${filled.host}/library/${name}`;
    await cli("berth", engine.host, ["tag", name, target]);
    const pushed = await cli("berth", engine.host, ["push", target]);
    count(`push ${name} into the mirror`, pushed.code === 0, pushed.stderr);
  }
  return filled;
}

/** A program of images/ runs and answers at its port. */
async function greets(engine: Engine, image: string): Promise<void> {
  await engine.ok("run", "-d", "--name", image, "-p", "127.0.0.1::8080", image);
  const address = await engine.ok("port", image, "8080");
  const page = await until(`${image} answers`, () =>
    fetch(`http://${address}/`).then(
      (answer) => answer.text(),
      () => undefined,
    ),
  );
  count(`${image} runs`, page.includes("Hello from"), page);
  await engine.berth("rm", "-f", image);
}

async function bunTest(path: string): Promise<void> {
  const output = await run([process.execPath, "test", "--timeout", "120000", path]);
  const passed = /^ *(\d+) pass$/m.exec(output.text)?.[1];
  const failed = /^ *(\d+) fail$/m.exec(output.text)?.[1];
  if (passed === undefined) return count(`bun test ${path}`, false, "no summary");
  totals.passed += Number(passed);
  totals.failed += Number(failed ?? 0);
  for (const [line] of output.text.matchAll(/^\(skip\) .*$/gm)) skipped.add(line);
  if (output.code !== 0 && Number(failed ?? 0) === 0) count(`bun test ${path}`, false, `exit status ${output.code}`);
}

async function counted(
  name: string,
  argv: readonly string[],
  { summary, env = {} }: { summary: RegExp; env?: Record<string, string> },
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

/** On a hybrid cgroup host a daemon mounts v1 hierarchies that crun needs, and they stay for the next one; here no next one comes. */
async function takeBackHierarchies(before: ReadonlySet<string>): Promise<void> {
  for (const one of await kernelState()) {
    const target = /^mount (\/sys\/fs\/cgroup\/[a-z_]+)$/.exec(one)?.[1];
    if (target === undefined || before.has(one)) continue;
    await run(["umount", target]);
    await run(["rmdir", target]);
  }
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

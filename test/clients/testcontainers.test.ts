import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StartedTestContainer, StoppedTestContainer } from "testcontainers";
import { call } from "../support/api.ts";
import { until } from "../support/until.ts";
import { clientEngine, image, importReaper, reaperImage } from "./engine.ts";

let engine: Awaited<ReturnType<typeof clientEngine>>;
let library: typeof import("testcontainers");
const started: { stop(): Promise<StoppedTestContainer | unknown> }[] = [];

beforeAll(async () => {
  engine = await clientEngine();
  await importReaper(engine);
  Object.assign(process.env, environment());
  library = await import("testcontainers");
});
afterEach(async () => {
  for (const one of started.splice(0).reverse()) await one.stop();
});
afterAll(() => engine[Symbol.asyncDispose]());

/** What a program needs that uses testcontainers on this engine. Machines that look like a container have no other host. */
function environment(): Record<string, string> {
  return {
    DOCKER_HOST: engine.host,
    TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: engine.host.replace("unix://", ""),
    TESTCONTAINERS_HOST_OVERRIDE: "127.0.0.1",
    RYUK_CONTAINER_IMAGE: reaperImage,
  };
}

async function start(container: import("testcontainers").GenericContainer): Promise<StartedTestContainer> {
  const running = await container.withStartupTimeout(20_000).start();
  started.push(running);
  return running;
}

function sleeper(): import("testcontainers").GenericContainer {
  return new library.GenericContainer(image).withCommand(["sleep", "1000"]);
}

const page = [
  "sh",
  "-c",
  "mkdir /www; echo page >/www/index.html; sleep 0.3; httpd -p 80 -h /www; echo ready; sleep 1000",
];

test("waits for a line of the log", async () => {
  const container = await start(
    new library.GenericContainer(image)
      .withCommand(["sh", "-c", "sleep 0.3; echo server is ready; sleep 1000"])
      .withWaitStrategy(library.Wait.forLogMessage("server is ready")),
  );
  expect(container.getId()).toMatch(/^[0-9a-f]{64}$/);
});

test("waits for a port, and reaches it", async () => {
  const container = await start(new library.GenericContainer(image).withCommand(page).withExposedPorts(80));
  const answer = await fetch(`http://${container.getHost()}:${container.getMappedPort(80)}/`);
  expect(await answer.text()).toBe("page\n");
});

test("waits for an HTTP answer", async () => {
  const container = await start(
    new library.GenericContainer(image)
      .withCommand(page)
      .withExposedPorts(80)
      .withWaitStrategy(library.Wait.forHttp("/index.html", 80).forStatusCode(200)),
  );
  expect(container.getMappedPort(80)).toBeGreaterThan(1024);
});

test("waits for a health check", async () => {
  await start(
    new library.GenericContainer(image)
      .withCommand(["sh", "-c", "sleep 0.5; touch /well; sleep 1000"])
      .withHealthCheck({ test: ["CMD-SHELL", "test -e /well"], interval: 200, timeout: 1000, retries: 50 })
      .withWaitStrategy(library.Wait.forHealthCheck()),
  );
});

test("waits for a command, and for a program that ends", async () => {
  await start(sleeper().withWaitStrategy(library.Wait.forSuccessfulCommand("test -d /etc")));
  await start(
    new library.GenericContainer(image).withCommand(["true"]).withWaitStrategy(library.Wait.forOneShotStartup()),
  );
});

test("exec: output, exit status, user, directory, variables", async () => {
  const container = await start(sleeper());
  const done = await container.exec(["sh", "-c", "echo $A; pwd; id -u; echo err >&2; exit 3"], {
    user: "alice",
    workingDir: "/tmp",
    env: { A: "1" },
  });
  expect(done).toMatchObject({ exitCode: 3, stdout: "1\n/tmp\n1000\n", stderr: "err\n" });
});

test("files and contents are there before the start; archives come out", async () => {
  const directory = mkdtempSync(join(tmpdir(), "berth-clients-"));
  writeFileSync(`${directory}/f`, "from a file");
  const container = await start(
    sleeper()
      .withCopyFilesToContainer([{ source: `${directory}/f`, target: "/copied/f" }])
      .withCopyContentToContainer([{ content: "content", target: "/copied/c", mode: 0o600 }]),
  );
  await container.copyFilesToContainer([{ source: `${directory}/f`, target: "/later/f" }]);
  rmSync(directory, { recursive: true });
  const { output } = await container.exec(["sh", "-c", "cat /copied/f /copied/c /later/f; stat -c %a /copied/c"]);
  expect(output).toBe("from a filecontentfrom a file600\n");
  const archive = Buffer.from(
    await new Response((await container.copyArchiveFromContainer("/copied")) as never).bytes(),
  );
  expect(archive.includes("copied/f")).toBe(true);
});

test("networks and aliases", async () => {
  const network = await new library.Network().start();
  started.push(network);
  const container = await start(sleeper().withNetwork(network).withNetworkAliases("web"));
  const { json } = await call(engine, `GET /containers/${container.getId()}/json`);
  expect(json.NetworkSettings.Networks[network.getName()].Aliases).toContain("web");
  const address = container.getIpAddress(network.getName());
  const other = await start(sleeper().withNetwork(network));
  for (const target of ["web", address])
    expect((await other.exec(["ping", "-c", "1", "-W", "5", target])).exitCode).toBe(0);
});

test("environment, labels, tmpfs, user, entrypoint, limits", async () => {
  const container = await start(
    new library.GenericContainer(image)
      .withEntrypoint(["sleep"])
      .withCommand(["1000"])
      .withEnvironment({ A: "b" })
      .withLabels({ own: "label" })
      .withTmpFs({ "/scratch": "size=1m" })
      .withUser("alice")
      .withResourcesQuota({ memory: 0.25, cpu: 0.5 }),
  );
  const { json } = await call(engine, `GET /containers/${container.getId()}/json`);
  expect(json.Config).toMatchObject({ User: "alice", Labels: { own: "label" }, Entrypoint: ["sleep"] });
  expect(json.Config.Env).toContain("A=b");
  expect(json.HostConfig).toMatchObject({ Memory: 2 ** 28, NanoCpus: 500_000_000, Tmpfs: { "/scratch": "size=1m" } });
});

test("reuse: the same container again", async () => {
  const make = () => sleeper().withLabels({ reused: "yes" }).withReuse().start();
  const first = await make();
  started.push(first);
  expect((await make()).getId()).toBe(first.getId());
});

test("logs, a restart, a stop", async () => {
  const container = await start(
    new library.GenericContainer(image)
      .withCommand(["sh", "-c", "echo line; sleep 1000"])
      .withWaitStrategy(library.Wait.forLogMessage("line")),
  );
  const seen = Promise.withResolvers<string>();
  (await container.logs()).on("data", (chunk) => seen.resolve(String(chunk)));
  expect(await seen.promise).toContain("line");
  await container.restart({ timeout: 0 });
  await container.stop({ remove: false, timeout: 0 });
  const { json } = await call(engine, `GET /containers/${container.getId()}/json`);
  expect(json.State.Status).toBe("exited");
  await call(engine, `DELETE /containers/${container.getId()}?force=1`);
  started.pop();
});

test("a start that fails says why", async () => {
  const failing = new library.GenericContainer(image)
    .withCommand(["false"])
    .withWaitStrategy(library.Wait.forLogMessage("never"))
    .withStartupTimeout(3000);
  await expect(failing.start()).rejects.toThrow();
});

test("the reaper removes what a killed program leaves: containers, networks, volumes", async () => {
  const program = Bun.spawn([process.execPath, `${import.meta.dir}/abandon.ts`], {
    env: { ...process.env, ...environment(), CLIENTS_IMAGE: image },
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  for await (const chunk of program.stdout) {
    text += Buffer.from(chunk).toString();
    if (text.includes("\n")) break;
  }
  const made = JSON.parse(text) as { container: string; network: string; volume: string; reaper: string };
  const paths = [
    `/containers/${made.container}/json`,
    `/networks/${made.network}`,
    `/volumes/${made.volume}`,
    `/containers/${made.reaper}/json`,
  ];
  const statuses = () => Promise.all(paths.map(async (path) => (await call(engine, `GET ${path}`)).status));
  expect(await statuses()).toEqual([200, 200, 200, 200]);
  program.kill("SIGKILL");
  await program.exited;
  await until("everything is removed", async () => (await statuses()).every((status) => status === 404));
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { berth, cli, type Engine, startEngine } from "../support/engine.ts";
import { busyboxRootfs, dockerArchive, gzipLayer, importBusybox, plainLayer } from "../support/images.ts";
import { freePort, type Registry, startRegistry } from "../support/registry.ts";
import { tar } from "../support/tar.ts";

let registry: Registry;
let engine: Engine;
beforeAll(async () => {
  registry = await startRegistry();
  engine = await startEngine(["--registry-mirror", `http://${registry.host}`]);
  await importBusybox(engine);
});
afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

const id = (ref: string) => engine.ok("inspect", "--type", "image", "-f", "{{.Id}}", ref);

async function loaded(name: string, text: string): Promise<string> {
  const layers = [gzipLayer(busyboxRootfs()), plainLayer(tar({ name: "text", data: text }))];
  await cli("docker", engine.host, ["load"], { stdin: dockerArchive(name, layers) });
  return id(name);
}

describe.each(["docker", "berth"] as const)("%s", (which) => {
  const one = (...argv: string[]) => cli(which, engine.host, argv);

  test("push, then pull by tag and by digest", async () => {
    const name = `${registry.host}/team/${which}:1`;
    const image = await loaded(name, which);
    const pushed = await one("push", name);
    expect([pushed.code, pushed.stderr]).toEqual([0, ""]);
    const digest = /1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed.stdout)?.[1];
    expect(digest).toBeDefined();
    await engine.ok("rmi", name);
    const pulled = await one("pull", name);
    expect(pulled.code).toBe(0);
    expect(pulled.stdout).toContain(`Digest: ${digest}`);
    expect(pulled.stdout).toContain(`Status: Downloaded newer image for ${name}`);
    expect(await id(name)).toBe(image);
    expect(await engine.ok("run", "--rm", name, "cat", "/text")).toBe(which);
    expect((await one("pull", name)).stdout).toContain(`Status: Image is up to date for ${name}`);
    await engine.ok("rmi", name);
    const byDigest = `${registry.host}/team/${which}@${digest}`;
    expect((await one("pull", byDigest)).code).toBe(0);
    expect(await id(byDigest)).toBe(image);
    expect(await engine.ok("inspect", "-f", "{{json .RepoDigests}}", image)).toBe(`["${byDigest}"]`);
    await engine.ok("rmi", byDigest);
    expect((await one("pull", "-q", name)).stdout).toBe(`${name}\n`);
    await engine.ok("rmi", name);
  });

  test("run pulls what is missing, --pull never does not", async () => {
    const name = `${registry.host}/team/run-${which}`;
    await loaded(`${name}:latest`, "pulled by run");
    await engine.ok("push", name);
    await engine.ok("rmi", name);
    expect((await one("run", "--rm", "--pull", "never", name, "true")).code).toBe(125);
    const run = await one("run", "--rm", name, "cat", "/text");
    expect(run.stdout).toBe("pulled by run");
    expect(run.stderr).toContain(`Unable to find image '${name}:latest' locally`);
    await engine.ok("rmi", name);
  });

  test("names, tags and digests that nobody has", async () => {
    const missing = await one("pull", `${registry.host}/team/nothing:1`);
    expect(missing.code).toBe(1);
    expect(missing.stderr).toMatch(/manifest unknown|not found|repository does not exist/);
    expect((await one("pull", `${registry.host}/team/${which}@sha256:${"0".repeat(64)}`)).code).toBe(1);
    expect((await one("push", `${registry.host}/team/never-tagged`)).stderr).toMatch(
      /An image does not exist locally with the tag|does not exist/,
    );
    expect((await one("pull", `127.0.0.1:${await freePort()}/x/y:1`)).stderr).toMatch(/connect|refused/i);
    expect((await one("pull", "UPPER/case")).code).toBe(1);
  });

  test("--all-tags", async () => {
    const name = `${registry.host}/team/all-${which}`;
    await loaded(`${name}:a`, "a");
    await loaded(`${name}:b`, "b");
    expect((await one("push", "-a", name)).code).toBe(0);
    await engine.ok("rmi", `${name}:a`, `${name}:b`);
    const pulled = await one("pull", "-a", name);
    expect(pulled.code).toBe(0);
    expect(await engine.ok("run", "--rm", `${name}:a`, "cat", "/text")).toBe("a");
    expect(await engine.ok("run", "--rm", `${name}:b`, "cat", "/text")).toBe("b");
    await engine.ok("rmi", `${name}:a`, `${name}:b`);
  });
});

test("a short name is pulled through the mirror, and a build's FROM, too", async () => {
  const pushed = `${registry.host}/library/short:1`;
  await loaded(pushed, "from the mirror");
  await engine.ok("push", pushed);
  await engine.ok("rmi", pushed);
  await engine.ok("pull", "short:1");
  expect(await engine.ok("run", "--rm", "short:1", "cat", "/text")).toBe("from the mirror");
  await engine.ok("rmi", "short:1");
  const built = await cli("docker", engine.host, ["build", "-q", "-t", "onit", "-"], {
    stdin: "FROM short:1\nRUN cp /text /copy\n",
  });
  expect(built.code).toBe(0);
  expect(await engine.ok("run", "--rm", "onit", "cat", "/copy")).toBe("from the mirror");
  await engine.ok("rmi", "onit");
});

test("layers that the other side has are not sent again", async () => {
  const [first, second] = [`${registry.host}/dup/one:1`, `${registry.host}/dup/two:1`];
  await loaded(first, "same");
  await engine.ok("tag", first, second);
  await engine.ok("push", first);
  expect((await engine.docker("push", second)).stdout).toMatch(/Layer already exists|Mounted from/);
  await engine.ok("rmi", first, second);
});

test("a registry without TLS that is not on loopback wants --insecure-registry", async () => {
  const port = await freePort();
  const storage = `${engine.directory}/plain`;
  const address = Object.values((await import("node:os")).networkInterfaces())
    .flat()
    .find((one) => one?.family === "IPv4" && !one.internal)?.address;
  const child = Bun.spawn(
    [berth, "registry", "serve", "--listen", `0.0.0.0:${port}`, "--storage", storage, "--log-level", "error"],
    { stderr: "ignore" },
  );
  await using trusting = await startEngine(["--insecure-registry", `${address}:${port}`]);
  await importBusybox(trusting);
  const name = `${address}:${port}/a/b:1`;
  await trusting.ok("tag", "busybox", name);
  await trusting.ok("push", name);
  const refused = await engine.docker("pull", name);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/HTTPS|TLS|https/);
  child.kill();
  await child.exited;
});

test("berth registry serve keeps everything over a restart, and speaks the protocol", async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  const storage = `${engine.directory}/kept`;
  const serve = async () => {
    const child = Bun.spawn(
      [berth, "registry", "serve", "--listen", listen, "--storage", storage, "--log-level", "error"],
      { stderr: "ignore" },
    );
    while (!(await fetch(`http://${listen}/v2/`).catch(() => undefined))?.ok) await Bun.sleep(20);
    return child;
  };
  const first = await serve();
  const name = `${listen}/kept/image:1`;
  const image = await loaded(name, "kept");
  await engine.ok("push", name);
  await engine.ok("rmi", name);
  first.kill("SIGKILL");
  await first.exited;
  const second = await serve();
  const json = async (path: string) => (await fetch(`http://${listen}${path}`)).json();
  expect(await json("/v2/_catalog")).toEqual({ repositories: ["kept/image"] });
  expect(await json("/v2/kept/image/tags/list")).toEqual({ name: "kept/image", tags: ["1"] });
  expect(await json("/v2/kept/image/manifests/none")).toMatchObject({ errors: [{ code: "MANIFEST_UNKNOWN" }] });
  expect(await json("/v2/no/such/tags/list")).toMatchObject({ errors: [{ code: "NAME_UNKNOWN" }] });
  await engine.ok("pull", name);
  expect(await id(name)).toBe(image);
  await engine.ok("rmi", name);
  const held = Bun.spawn(
    [berth, "registry", "serve", "--listen", `127.0.0.1:${await freePort()}`, "--storage", storage],
    { stderr: "pipe", timeout: 30_000 },
  );
  expect(await held.exited).toBe(1);
  expect(await new Response(held.stderr).text()).toContain("is held by another berth process");
  second.kill("SIGTERM");
  expect(await second.exited).toBe(0);
});

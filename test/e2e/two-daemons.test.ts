import { expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { berth, type Engine, rootFlags, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { kernelObjects, kernelState } from "../support/leaks.ts";
import { freePort } from "../support/registry.ts";
import { patience, until } from "../support/until.ts";

async function serve(engine: Engine, text: string): Promise<number> {
  const port = await freePort();
  const script = `mkdir /www; echo ${text} > /www/index.html; exec httpd -f -p 80 -h /www`;
  await engine.ok("run", "-d", "--name", "web", "-p", `${port}:80`, "-v", "data:/data", "busybox", "sh", "-c", script);
  await until("the page is there", async () => (await page(port)) === text);
  return port;
}

const page = async (port: number) => {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { keepalive: false }).catch(() => undefined);
  return (await answer?.text())?.trim();
};

test("two daemons side by side, each cleaning up after itself alone", async () => {
  const before = await kernelState();
  await using first = await startEngine();
  await importBusybox(first);
  const firstPort = await serve(first, "first");
  const firstTag = await first.tag();
  {
    await using second = await startEngine();
    const alone = await kernelObjects(firstTag);
    await importBusybox(second);
    const secondTag = await second.tag();
    expect(secondTag).not.toBe(firstTag);
    const secondPort = await serve(second, "second");
    expect([await page(firstPort), await page(secondPort)]).toEqual(["first", "second"]);
    expect(await first.ok("ps", "--format", "{{.Names}} {{.Ports}}")).toContain(`web 0.0.0.0:${firstPort}->80/tcp`);
    expect(await second.ok("ps", "--format", "{{.Names}} {{.Ports}}")).toContain(`web 0.0.0.0:${secondPort}->80/tcp`);
    const subnet = ["network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Subnet}}"];
    expect(await first.ok(...subnet)).not.toBe(await second.ok(...subnet));
    const taken = await second.docker("run", "-d", "-p", `${firstPort}:80`, "busybox", "true");
    expect(taken.code).toBe(125);
    expect(taken.stderr).toMatch(/port is already allocated|address already in use/);
    await second.ok("rm", "-f", "-v", ...(await second.ok("ps", "-aq")).split("\n"));
    await second.ok("volume", "rm", "data");
    await second.stop();
    const left = await kernelObjects(secondTag);
    expect(left).toEqual({ links: [], cgroups: [], nft: "" });
    for (const path of ["exec/rootfs", "exec/netns", "exec/bundles", "data/containers", "data/volumes"]) {
      const full = `${second.directory}/${path}`;
      expect([path, existsSync(full) ? readdirSync(full) : []]).toEqual([path, []]);
    }
    expect(await kernelObjects(firstTag)).toEqual(alone);
    expect(await page(firstPort)).toBe("first");
    await second.start();
  }
  expect(await page(firstPort)).toBe("first");
  expect(await first.ok("exec", "web", "echo", "still")).toBe("still");
  await first[Symbol.asyncDispose]();
  const tagged = [...(await kernelState())].filter((one) => one.includes(firstTag) || one.includes(first.directory));
  expect(tagged.filter((one) => !before.has(one))).toEqual([]);
});

test("a second daemon on the same roots is refused", async () => {
  await using engine = await startEngine();
  const again = Bun.spawn([berth, "daemon", "--host", `${engine.host}.2`, ...rootFlags(engine.directory)], {
    stdout: "ignore",
    stderr: "pipe",
    timeout: 30_000 * patience,
  });
  expect(await again.exited).toBe(1);
  expect(await new Response(again.stderr).text()).toContain(
    `${engine.directory}/data/lock is held by another berth process`,
  );
  expect(await engine.ok("ps", "-q")).toBe("");
});

test("a second daemon on the same socket is refused", async () => {
  await using engine = await startEngine();
  const again = Bun.spawn([berth, "daemon", "--host", engine.host, ...rootFlags(`${engine.directory}/other`)], {
    stdout: "ignore",
    stderr: "pipe",
    timeout: 30_000 * patience,
  });
  expect(await again.exited).toBe(1);
  expect(await new Response(again.stderr).text()).toContain("another process serves it");
  expect(await engine.ok("ps", "-q")).toBe("");
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine(["--userns-remap", "default"]);
  await importBusybox(engine);
  await Bun.write(
    `${engine.directory}/tree/Dockerfile`,
    "FROM busybox\nRUN mkdir /tree && echo one > /tree/one && chown 7:8 /tree/one\n",
  );
  await engine.ok("build", "-q", "-t", "tree", `${engine.directory}/tree`);
});
afterAll(() => engine[Symbol.asyncDispose]());

const sh = (script: string, ...flags: string[]) => engine.ok("run", "--rm", ...flags, "busybox", "sh", "-c", script);

test.each(["busybox", "tree"])("files of the image %s have the owners that its own containers see", async (image) => {
  const mount = `type=image,source=${image},target=/i`;
  expect(await sh("stat -c '%u %g' /i/etc; cat /i/etc/passwd | head -1", "--mount", mount)).toStartWith("0 0\nroot:");
});

test("so have those of a part of it", async () => {
  const mount = "type=image,source=tree,target=/i,image-subpath=tree";
  expect(await sh("stat -c '%u %g' /i/one", "--mount", mount)).toBe("7 8");
});

test("a volume in memory, and a part of a volume, belong to root inside", async () => {
  await engine.ok("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "mem");
  expect(await sh("touch /m/f; stat -c '%u %g' /m/f", "-v", "mem:/m")).toBe("0 0");
  await sh("mkdir /v/a; echo x > /v/a/f", "-v", "parts:/v");
  expect(await sh("stat -c '%u %g' /p/f; cat /p/f", "--mount", "type=volume,src=parts,dst=/p,volume-subpath=a")).toBe(
    "0 0\nx",
  );
  await engine.ok("volume", "rm", "mem", "parts");
});

test("a volume with a size belongs to root inside, whose writes it stops", async () => {
  await engine.ok("volume", "create", "-o", "size=1m", "sized");
  const script = "dd if=/dev/zero of=/v/f bs=64k count=32 2>&1 | grep left; stat -c '%u %g' /v /v/f";
  const expected = "dd: error writing '/v/f': No space left on device\n0 0\n0 0";
  expect(await sh(script, "-v", "sized:/v")).toBe(expected);
  expect(await sh("stat -c '%u %g' /v/f", "--userns", "host", "-v", "sized:/v")).toBe("0 0");
  await engine.ok("volume", "rm", "sized");
});

test("a volume that is a directory of the host's belongs to the host", async () => {
  const directory = `${engine.directory}/hosts`;
  mkdirSync(directory, { mode: 0o755 });
  await engine.ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${directory}`, "outside");
  expect(await sh("stat -c '%u' /o; touch /o/f 2>/dev/null || echo no", "-v", "outside:/o")).toBe("65534\nno");
  await engine.ok("volume", "rm", "outside");
});

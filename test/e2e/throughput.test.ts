import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import type { Socket } from "node:net";
import { call, dial } from "../support/api.ts";
import { berth, cliEnv, type Engine, startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { residentMiB } from "../support/memory.ts";
import { until } from "../support/until.ts";

const size = 100 << 20;
/** How much more the daemon may hold when it is all over, in MiB: its buffers, and garbage that is not collected yet. */
const allowed = 60;

/** Bytes without a pattern that a shift or a gap would keep. */
const payload = Buffer.alloc(size);
for (let at = 0; at < size; at += 4) payload.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at);
const digest = sha(payload);

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine();
  await importBusybox(engine);
  await engine.ok("run", "-d", "--name", "box", "busybox", "sleep", "100000");
  const put = Bun.spawn(["docker", "exec", "-i", "box", "sh", "-c", "cat > /payload"], {
    env: cliEnv(engine.host),
    stdin: payload,
  });
  expect(await put.exited).toBe(0);
  await engine.ok("commit", "box", "payload");
});
afterAll(() => engine[Symbol.asyncDispose]());

function sha(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** What a reader gets that stops for a while in the middle: its digest, without Docker's frames where there are any. */
async function slowly(output: AsyncIterable<Uint8Array>): Promise<{ digest: string; length: number }> {
  const hash = new Bun.CryptoHasher("sha256");
  let length = 0;
  let slept = false;
  for await (const bytes of output) {
    hash.update(bytes);
    length += bytes.length;
    if (slept || length < size / 2) continue;
    slept = true;
    await Bun.sleep(5000);
  }
  return { digest: hash.digest("hex"), length };
}

function start(which: "docker" | "berth", argv: readonly string[], stdin?: Uint8Array) {
  const program = which === "berth" ? berth : "docker";
  return Bun.spawn([program, ...argv], { env: cliEnv(engine.host), stdin: stdin ?? "ignore", stdout: "pipe" });
}

/** The daemon is as large as before, give or take what is allowed, once it has had time to settle. */
async function flat(before: number): Promise<void> {
  const grown = () => residentMiB(engine.pid) - before;
  await until(
    () => `the daemon is ${grown().toFixed(0)} MiB larger than before`,
    () => grown() < allowed,
  );
}

describe.each(["docker", "berth"] as const)("100 MB byte for byte with %s, to a reader that stops for 5 s", (which) => {
  test("exec: out", async () => {
    const before = residentMiB(engine.pid);
    const child = start(which, ["exec", "box", "cat", "/payload"]);
    expect(await slowly(child.stdout)).toEqual({ digest, length: size });
    expect(await child.exited).toBe(0);
    await flat(before);
  });

  test("exec -i: in and out at once", async () => {
    const before = residentMiB(engine.pid);
    const child = start(which, ["exec", "-i", "box", "cat"], payload);
    expect(await slowly(child.stdout)).toEqual({ digest, length: size });
    expect(await child.exited).toBe(0);
    await flat(before);
  });

  test("run: out", async () => {
    const before = residentMiB(engine.pid);
    const child = start(which, ["run", "--rm", "--log-driver", "none", "payload", "cat", "/payload"]);
    expect(await slowly(child.stdout)).toEqual({ digest, length: size });
    expect(await child.exited).toBe(0);
    await flat(before);
  });

  test("run -i: in and out at once", async () => {
    const before = residentMiB(engine.pid);
    const child = start(which, ["run", "--rm", "-i", "--log-driver", "none", "busybox", "cat"], payload);
    expect(await slowly(child.stdout)).toEqual({ digest, length: size });
    expect(await child.exited).toBe(0);
    await flat(before);
  });

  test("attach: out", async () => {
    const id = await engine.ok("create", "-i", "--log-driver", "none", "payload", "sh", "-c", "read go; cat /payload");
    const before = residentMiB(engine.pid);
    await engine.ok("start", id);
    const child = start(which, ["attach", id], Buffer.from("go\n"));
    expect(await slowly(child.stdout)).toEqual({ digest, length: size });
    expect(await child.exited).toBe(0);
    await flat(before);
    await engine.ok("rm", id);
  });
});

test("clients that never read hold up neither the others nor the daemon, and cost it no memory", async () => {
  const before = residentMiB(engine.pid);
  const lazy = await Promise.all([1, 2, 3].map(() => unreadExec("cat /payload")));
  expect(await engine.ok("exec", "box", "sh", "-c", "sha256sum < /payload")).toContain(digest);
  await flat(before);
  for (const socket of lazy) socket.destroy();
  await until("their processes have ended", async () => !(await engine.ok("top", "box")).includes("cat /payload"));
});

/** An attached exec whose output nobody takes. */
async function unreadExec(script: string): Promise<Socket> {
  const { json } = await call(engine, "POST /containers/box/exec", {
    Cmd: ["sh", "-c", script],
    AttachStdout: true,
  });
  const socket = await dial(engine);
  const body = JSON.stringify({ Detach: false });
  const head = `POST /exec/${json.Id}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await once(socket, "readable");
  return socket;
}

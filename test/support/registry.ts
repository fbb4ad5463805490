import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { berth } from "./engine.ts";

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly storage: string;
}

/** `berth registry serve` on a free port of loopback. */
export async function startRegistry(): Promise<Registry> {
  const storage = mkdtempSync(join(tmpdir(), "berth-registry-"));
  const host = `127.0.0.1:${await freePort()}`;
  const child = Bun.spawn([berth, "registry", "serve", "--listen", host, "--storage", storage, "--log-level", "warn"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const deadline = Date.now() + 30_000;
  while (!(await fetch(`http://${host}/v2/`).catch(() => undefined))?.ok) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error("berth registry serve did not answer");
    await Bun.sleep(20);
  }
  return {
    host,
    storage,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      rmSync(storage, { recursive: true, force: true });
    },
  };
}

export function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer().on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => (typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port"))));
  });
  return promise;
}

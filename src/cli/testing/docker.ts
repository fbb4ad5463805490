import { existsSync, rmSync } from "node:fs";
import { serve } from "../../http/mod.ts";

/** docker's own command line, for comparisons; tests that need it are skipped where it is missing. */
export const dockerCli = ["/usr/local/bin/docker", `${process.cwd()}/.cache/docker/docker`, "/usr/bin/docker"].find(
  existsSync,
);

export async function docker(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([dockerCli ?? "docker", ...argv], {
    env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", DOCKER_CLI_HINTS: "false", ...env },
    cwd: "/tmp",
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { status: await child.exited, out, err };
}

export interface Recorder extends AsyncDisposable {
  readonly host: string;
  /** The body of the last `POST /containers/create`. */
  last(): unknown;
}

/** An engine that takes every container and remembers what was asked for. */
export async function recordCreates(): Promise<Recorder> {
  const path = `/tmp/berth-cli-${crypto.randomUUID()}.sock`;
  let last: unknown;
  const server = await serve({
    listen: `unix://${path}`,
    versioned: { newest: "1.51" },
    headers: { "Api-Version": "1.51", Ostype: "linux" },
    onError: (err) => ({ kind: "json", status: 500, body: { message: String(err) } }),
    routes: [
      { method: "HEAD", path: "/_ping", handle: () => ({ kind: "empty", status: 200 }) },
      { method: "GET", path: "/_ping", handle: () => ({ kind: "text", status: 200, type: "text/plain", body: "OK" }) },
      {
        method: "POST",
        path: "/containers/create",
        handle: async (request) => {
          last = await request.json();
          return { kind: "json", status: 201, body: { Id: "c".repeat(64), Warnings: [] } };
        },
      },
    ],
  });
  return {
    host: `unix://${path}`,
    last: () => last,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(path, { force: true });
    },
  };
}

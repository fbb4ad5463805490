/** Repositories on a git daemon of the test's own, on loopback. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Processes } from "../../host/mod.ts";

export interface GitServer extends AsyncDisposable {
  /** Of all repositories, without a slash behind. */
  readonly url: string;
  /** For the test's other files: outside of /tmp, which a checkout sees itself as. */
  readonly place: string;
  /** A repository `name` with these files and one more commit; returns its directory. */
  repository(name: string, files: Readonly<Record<string, string>>): string;
}

export function git(directory: string, ...args: string[]): string {
  const who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
  const more = ["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false"];
  return execFileSync("git", [...who, ...more, ...args], { cwd: directory, encoding: "utf8" }).trim();
}

export async function serveGit(processes: Processes): Promise<GitServer> {
  const place = mkdtempSync("/var/tmp/berth-git-");
  chmodSync(place, 0o755);
  const base = join(place, "served");
  mkdirSync(join(base, "ready"), { recursive: true });
  git(join(base, "ready"), "init", "--quiet");
  const port = await freePort();
  const url = `git://127.0.0.1:${port}`;
  const options = [`--port=${port}`, "--listen=127.0.0.1", "--export-all", "--reuseaddr", `--base-path=${base}`, base];
  const server = processes.spawn(["git", "-c", "safe.directory=*", "daemon", ...options], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  await using undo = new AsyncDisposableStack();
  undo.defer(async () => {
    server.kill(15);
    await server.exited;
    rmSync(place, { recursive: true, force: true });
  });
  await answers(processes, `${url}/ready`);
  const owned = undo.move();
  return {
    url,
    place,
    repository: (name, files) => commit(join(base, name), files),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function commit(directory: string, files: Readonly<Record<string, string>>): string {
  mkdirSync(directory, { recursive: true });
  if (!existsSync(join(directory, ".git"))) git(directory, "init", "--quiet");
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, path, ".."), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  git(directory, "add", "-A");
  git(directory, "commit", "--quiet", "-m", "c");
  return directory;
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => listener.once("listening", resolve));
  const address = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

async function answers(processes: Processes, url: string): Promise<void> {
  for (let left = 100; left > 0; left--) {
    const { code } = await processes.run(["git", "ls-remote", url]);
    if (code === 0) return;
    await Bun.sleep(50);
  }
  throw new Error("git daemon does not answer");
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { type Child, createHost } from "../../host/mod.ts";
import { checkoutGit } from "./checkout.ts";
import { parseGitRef } from "./ref.ts";

const { processes } = createHost({ workers: { size: 1 } });
const place = mkdtempSync("/var/tmp/berth-git-"); // a checkout sees itself as /tmp
chmodSync(place, 0o755);
const signal = new AbortController().signal;
let server: Child;
let url: string;
let first: string;

function git(directory: string, ...args: string[]): string {
  const who = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
  const more = ["-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false"];
  return execFileSync("git", [...who, ...more, ...args], { cwd: directory, encoding: "utf8" }).trim();
}

/** A repository `name` with these files and a commit. */
function repository(name: string, files: Record<string, string>): string {
  const directory = join(place, "served", name);
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

beforeAll(async () => {
  const main = repository("main", { "a.txt": "one", "docs/d.txt": "D" });
  first = git(main, "rev-parse", "HEAD");
  git(main, "tag", "-a", "-m", "t", "v1");
  git(main, "branch", "both");
  repository("main", { "a.txt": "two" });
  git(main, "tag", "both");
  const sub = repository("sub", { "s.txt": "S" });
  const evil = repository("evil", { "e.txt": "E" });
  symlinkSync("/etc/passwd", join(evil, "link"));
  git(evil, "submodule", "--quiet", "add", sub, "inside");
  const port = await freePort();
  url = `git://127.0.0.1:${port}`;
  const base = join(place, "served");
  const options = [`--port=${port}`, "--listen=127.0.0.1", "--export-all", "--reuseaddr", `--base-path=${base}`, base];
  server = processes.spawn(["git", "-c", "safe.directory=*", "daemon", ...options], {
    stdio: ["ignore", "ignore", "ignore"],
  });
  git(evil, "config", "-f", ".gitmodules", "submodule.inside.url", sub);
  git(evil, "add", "-A");
  git(evil, "commit", "--quiet", "-m", "s");
  await answers();
});

afterAll(async () => {
  server.kill(15);
  await server.exited;
  rmSync(place, { recursive: true, force: true });
});

async function answers(): Promise<void> {
  for (let left = 100; left > 0; left--) {
    const { code } = await processes.run(["git", "ls-remote", `${url}/main`]);
    if (code === 0) return;
    await Bun.sleep(50);
  }
  throw new Error("git daemon does not answer");
}

let made = 0;
async function checkout(text: string): Promise<{ directory: string; commit: string; read: (path: string) => string }> {
  const ref = parseGitRef(`${url}/${text}`);
  if (!ref) throw new Error("no repository");
  const directory = join(place, `out${made++}`);
  const commit = await checkoutGit({ processes, git: ref, directory, signal });
  return { directory, commit, read: (path) => readFileSync(join(directory, path), "utf8") };
}

describe("a checkout", () => {
  test("of the default branch, a tag, a branch, a commit", async () => {
    expect((await checkout("main")).read("a.txt")).toBe("two");
    expect((await checkout("main#v1")).read("a.txt")).toBe("one");
    expect((await checkout("main?branch=both")).read("a.txt")).toBe("one");
    expect((await checkout(`main#${first}`)).commit).toBe(first);
  });

  test("a branch goes before a tag of its name", async () => {
    expect((await checkout("main#both")).read("a.txt")).toBe("one");
    expect((await checkout("main?tag=both")).read("a.txt")).toBe("two");
  });

  test("is verified", async () => {
    expect((await checkout(`main?ref=v1&checksum=${first.slice(0, 12)}`)).commit).toBe(first);
    const wrong = checkout(`main?ref=main&checksum=${first.slice(0, 12)}`);
    await expect(wrong).rejects.toThrow(`expected checksum to match ${first.slice(0, 12)}`);
  });

  test("says what is not there", async () => {
    await expect(checkout("main#nope")).rejects.toThrow("failed to fetch git://127.0.0.1");
    await expect(checkout("nowhere")).rejects.toThrow("failed to fetch");
  });

  test("takes no submodule from this host", async () => {
    await expect(checkout("evil")).rejects.toThrow("transport 'file' not allowed");
    const without = await checkout("evil?submodules=0");
    expect([without.read("e.txt"), existsSync(join(without.directory, "inside/s.txt"))]).toEqual(["E", false]);
  });

  test("runs no hook and reads no configuration of this host", async () => {
    const home = join(place, "home");
    mkdirSync(join(home, "hooks"), { recursive: true });
    const hook = `#!/bin/sh\ntouch ${place}/hooked\n`;
    for (const name of ["post-checkout", "reference-transaction"]) {
      writeFileSync(join(home, "hooks", name), hook, { mode: 0o755 });
    }
    writeFileSync(join(home, ".gitconfig"), `[core]\n\thooksPath = ${home}/hooks\n`);
    const before = process.env["HOME"];
    process.env["HOME"] = home;
    try {
      await checkout("main");
    } finally {
      process.env["HOME"] = before;
    }
    expect(existsSync(join(place, "hooked"))).toBe(false);
  });
});

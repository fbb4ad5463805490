import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createHost } from "../../host/mod.ts";
import { type GitServer, git, serveGit } from "../testing/git-server.ts";
import { checkoutGit } from "./checkout.ts";
import { parseGitRef } from "./ref.ts";

const { processes } = createHost({ workers: { size: 1 } });
const signal = new AbortController().signal;
let server: GitServer;
let place: string;
let first: string;

beforeAll(async () => {
  server = await serveGit(processes);
  place = server.place;
  const { repository } = server;
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
  git(evil, "config", "-f", ".gitmodules", "submodule.inside.url", sub);
  git(evil, "add", "-A");
  git(evil, "commit", "--quiet", "-m", "s");
});
afterAll(() => server[Symbol.asyncDispose]());

let made = 0;
async function checkout(text: string): Promise<{ directory: string; commit: string; read: (path: string) => string }> {
  const ref = parseGitRef(`${server.url}/${text}`);
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

import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { messageOf } from "../errors/mod.ts";
import { createHost } from "../host/mod.ts";
import { archive } from "../layers/testing/store.ts";
import { fromBuffer } from "../stream/mod.ts";
import type { BuildContext } from "./builder.ts";
import { ContextFiles } from "./context-files.ts";
import { type FetchOptions, fetchContext } from "./receive.ts";
import { type GitServer, git, serveGit } from "./testing/git-server.ts";

const { processes, workers } = createHost({ workers: { size: 1 } });
const directory = mkdtempSync("/var/tmp/berth-contexts-");
const signal = new AbortController().signal;
let server: GitServer;

beforeAll(async () => {
  server = await serveGit(processes);
  const repository = server.repository("app", {
    Dockerfile: "FROM base # one",
    "docs/Dockerfile": "FROM base # docs",
    "docs/other": "FROM base # other",
    "docs/d.txt": "D",
  });
  git(repository, "tag", "v1");
  for (const [name, target] of Object.entries({
    in: "docs",
    out: "../..",
    etc: "/etc",
    hidden: ".git",
    self: "self",
  })) {
    symlinkSync(target, join(repository, name));
  }
  mkdirSync(join(repository, "deep"));
  symlinkSync("../docs", join(repository, "deep/in"));
  server.repository("app", {
    Dockerfile: "FROM base # two",
    ".dockerignore": "*.log\nnode\n!node/kept\nDockerfile\n",
    "a.log": "L",
    "node/gone": "G",
    "node/kept": "K",
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const left = () => readdirSync(join(directory, "contexts"));
afterEach(() => expect(left()).toEqual([]));

async function fetched(url: string, more: Partial<FetchOptions> = {}): Promise<BuildContext> {
  const fetchUrl = async () => {
    throw new Error("a repository is not downloaded");
  };
  return fetchContext(url, { directory, workers, processes, signal, fetchUrl, args: {}, ...more });
}

/** What a context has, all of it root's: files below it, without what lies in `.git`. */
async function shown(url: string, more: Partial<FetchOptions> = {}): Promise<{ text?: string; files: string[] }> {
  const context = await fetched(url, more);
  await using files = new ContextFiles(workers, context);
  const place = await files.directory();
  const find = (...args: string[]) => execFileSync("find", [place, "-mindepth", "1", ...args], { encoding: "utf8" });
  expect(find("-not", "-uid", "0")).toBe("");
  const names = find("-not", "-path", "*/.git/*", "-printf", "%P\n").trim().split("\n");
  return { text: (await files.source()).text, files: names.sort() };
}

/** Why it rejects; see context-builds.test.ts. */
async function failure(url: string, more: Partial<FetchOptions> = {}): Promise<string> {
  return fetched(url, more).then(
    () => "It did not fail",
    (err: unknown) => messageOf(err),
  );
}

describe("a repository as build context", () => {
  const docs = ["Dockerfile", "d.txt", "other"];

  test("is there without what .dockerignore names and without .git", async () => {
    const { text, files } = await shown(`${server.url}/app`);
    expect(text).toBe("FROM base # two");
    expect(files).toContain("node/kept");
    for (const absent of [".git", "a.log", "node/gone", "Dockerfile"]) expect(files).not.toContain(absent);
  });

  test("of a ref, with the Dockerfile inside of the directory", async () => {
    expect((await shown(`${server.url}/app#v1`)).text).toBe("FROM base # one");
    expect(await shown(`${server.url}/app#v1:docs`)).toEqual({ text: "FROM base # docs", files: docs });
    expect(await shown(`${server.url}/app#:docs`, { dockerfile: "other" })).toEqual({
      text: "FROM base # other",
      files: docs,
    });
  });

  test("of a directory that a link inside leads to", async () => {
    expect((await shown(`${server.url}/app#:in`)).files).toEqual(docs);
    expect((await shown(`${server.url}/app?subdir=deep/in`)).files).toEqual(docs);
  });

  test("keeps .git when it is asked for", async () => {
    const args = { BUILDKIT_CONTEXT_KEEP_GIT_DIR: "1" };
    expect((await shown(`${server.url}/app`, { args })).files).toContain(".git");
    expect((await shown(`${server.url}/app?keep-git-dir=1`)).files).toContain(".git");
  });

  test("that is not there is named", async () => {
    expect(await failure(`${server.url}/app#nope`)).toMatch(/failed to fetch git:.*\/app: .*remote ref nope/);
    expect(await failure(`${server.url}/nowhere`)).toMatch(/failed to fetch git:.*\/nowhere: /);
    const absent = [":nope", ":Dockerfile/x", ":.git", ":hidden"];
    for (const one of absent) {
      const name = JSON.stringify(one.slice(1));
      expect(await failure(`${server.url}/app#${one}`)).toBe(`there is no directory ${name} of ${server.url}/app`);
    }
    expect(await failure(`${server.url}/app#:Dockerfile`)).toContain('directory "Dockerfile" of');
    expect(await failure(`${server.url}/app`, { dockerfile: "docs/absent" })).toBe(
      "Cannot locate specified Dockerfile: docs/absent",
    );
  });

  test("does not lead out of itself", async () => {
    for (const one of ["out", "etc", "out/app"]) {
      expect(await failure(`${server.url}/app#:${one}`)).toBe(
        `the directory "${one}" of ${server.url}/app leads out of it`,
      );
    }
    expect(await failure(`${server.url}/app#:self`)).toContain("too many levels of symbolic links: self");
    expect(await failure(`${server.url}/app#:docs/../..`)).toContain('invalid subdirectory "docs/../.."');
    expect(await failure(`${server.url}/app`, { dockerfile: "../x" })).toContain("outside the build context: ../x");
  });

  test("that git may not fetch is refused", async () => {
    expect(await failure("file:///srv/r.git")).toBe("unable to use remote context file:///srv/r.git");
    expect(await failure("git://h/r#--upload-pack=x")).toContain('invalid reference "--upload-pack=x"');
  });

  test("is given up when the build is, with all processes that fetch it", async () => {
    const stop = new AbortController();
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const silent = createServer((socket) => {
      socket
        .resume()
        .on("error", () => undefined)
        .on("close", () => resolve());
      stop.abort();
    }).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    expect(await failure(`http://127.0.0.1:${port}/r.git`, { signal: stop.signal })).toContain("abort");
    await closed;
    silent.close();
  });
});

test("other URLs are archives and Dockerfiles", async () => {
  const tar = await archive({ name: "Dockerfile", text: "FROM base # tar" }, { name: "f", text: "F" });
  const answer = (bytes: Uint8Array) => async () => {
    return { status: 200, statusText: "OK", headers: new Headers(), bytes: fromBuffer(bytes) };
  };
  expect(await shown("http://h/context.tar", { fetchUrl: answer(tar) })).toEqual({
    text: "FROM base # tar",
    files: ["Dockerfile", "f"],
  });
  expect(await shown("http://h/Dockerfile", { fetchUrl: answer(Buffer.from("FROM base # alone")) })).toEqual({
    text: "FROM base # alone",
    files: ["Dockerfile"],
  });
});

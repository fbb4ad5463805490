import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../errors/mod.ts";
import { createHost } from "../../host/mod.ts";
import type { BuildSession } from "../session.ts";
import { type GitServer, serveGit } from "../testing/git-server.ts";
import { type PrivateGit, servePrivateGit } from "../testing/private-git.ts";
import { gitAccess, isSsh } from "./access.ts";
import { checkoutGit } from "./checkout.ts";
import { parseGitRef } from "./ref.ts";

const { processes } = createHost({ workers: { size: 1 } });
const { signal } = new AbortController();
let server: GitServer;
let closed: PrivateGit;

beforeAll(async () => {
  server = await serveGit(processes);
  server.repository("app.git", { "a.txt": "mine" });
  closed = await servePrivateGit(join(server.place, "served"));
});
afterAll(async () => {
  await closed[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

function sessionWith(secrets: Readonly<Record<string, string>>, agents: readonly string[] = []): BuildSession {
  return {
    secret: async (id) => (secrets[id] === undefined ? undefined : Buffer.from(secrets[id])),
    hasAgent: async (id) => agents.includes(id),
    async *agent(id) {
      yield Buffer.from(id);
    },
    credentials: async () => undefined,
    store: () => undefined,
  };
}

const basic = (text: string) => `basic ${Buffer.from(text).toString("base64")}`;

let made = 0;
async function checkout(url: string, session?: BuildSession): Promise<string> {
  const git = parseGitRef(url);
  if (!git) throw new Error("no repository");
  const directory = join(server.place, `private${made++}`);
  await checkoutGit({ processes, git, directory, signal, ...(session && { session }) });
  return directory;
}

/** Everything below a directory, names and contents. */
function all(directory: string): string {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => entry.name + (entry.isFile() ? readFileSync(join(entry.parentPath, entry.name), "latin1") : ""))
    .join("\n");
}

test.each([
  ["a token", { GIT_AUTH_TOKEN: "s3cret\n" }, basic("x-access-token:s3cret")],
  ["a header", { GIT_AUTH_HEADER: "Bearer s3cret" }, "Bearer s3cret"],
])("%s opens a repository, and is kept nowhere", async (_, secrets, authorization) => {
  closed.authorization = authorization;
  const directory = await checkout(`${closed.url}/app.git`, sessionWith(secrets));
  expect(readFileSync(join(directory, "a.txt"), "utf8")).toBe("mine");
  for (const kept of ["s3cret", authorization]) expect(all(directory)).not.toContain(kept);
});

test("the secret of the host goes before the one of all, and a user in the URL before both", async () => {
  closed.authorization = "Bearer host";
  const secrets = { GIT_AUTH_TOKEN: "t", GIT_AUTH_HEADER: "h", [`GIT_AUTH_HEADER.${closed.host}`]: "Bearer host" };
  await checkout(`${closed.url}/app.git`, sessionWith(secrets));
  closed.authorization = basic("me:p@ss");
  const directory = await checkout(`http://me:p%40ss@${closed.host}/app.git`, sessionWith(secrets));
  expect(all(directory)).not.toContain("p%40ss");
});

test("whoever is not let in reads what to do, and no secret", async () => {
  closed.authorization = "other";
  closed.refused.length = 0;
  const told = await checkout(`${closed.url}/app.git`, sessionWith({ GIT_AUTH_TOKEN: "s3cret" })).then(
    () => "",
    messageOf,
  );
  expect(told).toContain("(a private repository needs --secret id=GIT_AUTH_TOKEN, or GIT_AUTH_HEADER)");
  expect(told).not.toContain("s3cret");
  expect(closed.refused).toContain(basic("x-access-token:s3cret"));
  const user = await checkout(`http://me:p4ss@${closed.host}/app.git`).then(() => "", messageOf);
  expect(user).toContain(`failed to fetch ${closed.url}/app.git: `);
  expect(user).not.toContain("p4ss");
  const broken = await checkout(`${closed.url}/app.git`, sessionWith({ GIT_AUTH_TOKEN: "a\nb" })).then(
    () => "",
    messageOf,
  );
  expect(broken).toBe("secret GIT_AUTH_TOKEN is no line of text");
});

test("the header is for the repository alone, on github.com for all", async () => {
  const settings = async (remote: string) =>
    Object.keys((await gitAccess({ remote, session: sessionWith({ GIT_AUTH_TOKEN: "t" }), signal })).settings);
  expect(await settings("https://x.test/a/b.git")).toEqual(["http.https://x.test/a/b.git.extraHeader"]);
  expect(await settings("https://github.com/a/b.git")).toEqual(["http.https://github.com/.extraHeader"]);
  expect(await settings("git@x.test:a/b.git")).toEqual([]);
});

test("ssh needs an agent of the client", async () => {
  expect(["ssh://x/a.git", "git@x:a", "https://x/a.git", "git://x/a"].map(isSsh)).toEqual([true, true, false, false]);
  for (const session of [undefined, sessionWith({}, ["other"])]) {
    const told = await checkout("ssh://git@127.0.0.1:1/a.git", session).then(() => "", messageOf);
    expect(told).toBe('failed to fetch ssh://git@127.0.0.1:1/a.git: no SSH key "default" forwarded from the client');
  }
});

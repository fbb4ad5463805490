import { access, chown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import type { Processes, RunResult } from "../../host/mod.ts";
import { agentSocket } from "../ops/agent-socket.ts";
import type { BuildSession } from "../session.ts";
import { gitAccess, isSsh } from "./access.ts";
import type { GitRef } from "./ref.ts";

export interface Checkout {
  readonly processes: Processes;
  readonly git: GitRef;
  /** Of the client whose build it is for, which may be let in where not everybody is. */
  readonly session?: BuildSession;
  /** Made; must not exist. The repository's own files lie in `.git` inside. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/**
 * Checks a repository out with the host's git. What it brings is hostile: git runs as nobody and without capabilities,
 * reads no configuration and runs no hooks, asks nobody, speaks only protocols of the network (also for submodules), and
 * has none of the daemon's environment. Its files and symlinks are read like any other hostile tree's.
 *
 * The files belong to nobody. Returns the name of the commit. Throws "invalid" for what is not there, with git's own words.
 */
export async function checkoutGit(checkout: Checkout): Promise<string> {
  const { directory, processes, session, signal } = checkout;
  const { remote, settings } = await gitAccess({ remote: checkout.git.remote, session, signal });
  await processes.run(["git", "--version"], { signal }); // throws in plain words where there is none
  await mkdir(directory, { mode: 0o755 });
  await chown(directory, nobody, nobody);
  await using undo = new AsyncDisposableStack();
  const bare: Running = { ...checkout, git: { ...checkout.git, remote }, environment: environment(settings) };
  await run(bare, ["init", "--quiet", "."]);
  return await fill(await withAgent(bare, undo));
}

/** With the environment that git gets. */
interface Running extends Checkout {
  readonly environment: Readonly<Record<string, string>>;
}

async function fill(checkout: Running): Promise<string> {
  const { git, directory } = checkout;
  await fetch(checkout);
  await run(checkout, ["checkout", "--quiet", "--detach", "FETCH_HEAD"]);
  const commit = await verified(checkout);
  const hasSubmodules = await access(join(directory, ".gitmodules")).then(
    () => true,
    () => false,
  );
  if (hasSubmodules && git.submodules !== false) {
    await run(checkout, ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"]);
  }
  return commit;
}

/** With the client's ssh agent, if it has one, where ssh brings the repository. Throws "invalid" when it has none. */
async function withAgent(checkout: Running, undo: AsyncDisposableStack): Promise<Running> {
  const { git, directory, session, signal } = checkout;
  if (!isSsh(git.remote)) return checkout;
  const id = "default";
  if (!session || !(await session.hasAgent(id, signal)))
    throw new EngineError(
      "invalid",
      `failed to fetch ${git.remote}: no SSH key ${JSON.stringify(id)} forwarded from the client`,
    );
  const place = { session, id, directory: join(directory, ".git"), name: "agent", mode: 0o600 };
  const path = await agentSocket({ ...place, owner: { uid: nobody, gid: nobody }, signal, undo });
  undo.defer(() => rm(path, { force: true }));
  return { ...checkout, environment: { ...checkout.environment, SSH_AUTH_SOCK: "/tmp/.git/agent" } };
}

/** Of a branch and a tag with one name the branch is meant, as in `git checkout`. */
async function fetch(checkout: Running): Promise<void> {
  const { remote, ref = "HEAD" } = checkout.git;
  const isCommit = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(ref);
  const names =
    isCommit || ref === "HEAD" || ref.startsWith("refs/") ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`, ref];
  let last: RunResult | undefined;
  for (const name of names) {
    last = await attempt(checkout, ["fetch", "--quiet", "--no-tags", "--depth=1", "--", remote, name]);
    if (last.code === 0) return;
  }
  // Not every server gives out a commit by its name, or one that no ref is at.
  if (isCommit || checkout.git.checksum) return fetchAll(checkout, ref);
  throw failed(checkout, last);
}

async function fetchAll(checkout: Running, commit: string): Promise<void> {
  const all = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
  await run(checkout, ["fetch", "--quiet", "--", checkout.git.remote, ...all]);
  const { stdout } = await run(checkout, ["rev-parse", "--verify", "--end-of-options", `${commit}^{commit}`]);
  await run(checkout, ["update-ref", "FETCH_HEAD", stdout.trim()]);
}

async function verified(checkout: Running): Promise<string> {
  const { checksum } = checkout.git;
  const { stdout } = await run(checkout, ["rev-parse", "HEAD"]);
  const commit = stdout.trim();
  if (checksum === undefined || commit.startsWith(checksum.toLowerCase())) return commit;
  throw new EngineError("invalid", `expected checksum to match ${checksum}, got ${commit}`);
}

async function run(checkout: Running, args: readonly string[]): Promise<RunResult> {
  const result = await attempt(checkout, args);
  if (result.code !== 0) throw failed(checkout, result);
  return result;
}

function failed({ git }: Checkout, result: RunResult | undefined): EngineError {
  const said = (result?.stderr ?? "").trim().slice(0, 2000);
  const isClosed = /could not read (?:Username|Password)|Authentication failed|returned error: 40[13]/.test(said);
  const hint = isClosed ? "\n(a private repository needs --secret id=GIT_AUTH_TOKEN, or GIT_AUTH_HEADER)" : "";
  return new EngineError("invalid", `failed to fetch ${git.remote}: ${said || "git failed"}${hint}`);
}

const nobody = 65534;

/**
 * With the checkout as its /tmp, since nobody else gets through the directories above it, and in a process namespace that
 * ends with the daemon: a server that says nothing would keep git and its helpers for ever.
 */
const confined = [
  ...["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation", "private"],
  ...["--pid", "--fork", "--kill-child", "sh", "-c"],
  'mount --bind . /tmp && cd /tmp && "$@"; exit $?', // the shell stays: signals mean little to a namespace's first process
  ...["git", "setpriv", `--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", "--no-new-privs"],
  ...["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "git"],
];

/** Configuration by the environment alone, which git's own children have, too. */
const settings: Readonly<Record<string, string>> = {
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "core.sshCommand":
    "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null",
  "credential.helper": "",
  "fetch.fsckObjects": "true",
  "gc.auto": "0",
  "init.defaultBranch": "main",
  "init.templateDir": "",
  "protocol.allow": "never",
  "protocol.git.allow": "always",
  "protocol.http.allow": "always",
  "protocol.https.allow": "always",
  "protocol.ssh.allow": "always",
  "safe.directory": "*",
};

function environment(more: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries({ ...settings, ...more });
  const configured = entries.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  const proxies = ["http_proxy", "https_proxy", "no_proxy", "all_proxy"].flatMap((name) =>
    [name, name.toUpperCase()].flatMap((one) => (process.env[one] ? [[one, process.env[one]]] : [])),
  );
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LC_ALL: "C",
    HOME: "/nonexistent",
    GIT_CEILING_DIRECTORIES: "/",
    GIT_ALLOW_PROTOCOL: "git:http:https:ssh",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_HTTP_LOW_SPEED_LIMIT: "1000",
    GIT_HTTP_LOW_SPEED_TIME: "60",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_COUNT: `${entries.length}`,
    ...Object.fromEntries([...configured, ...proxies]),
  };
}

function attempt(
  { processes, directory, environment: env, signal }: Running,
  args: readonly string[],
): Promise<RunResult> {
  return processes.run([...confined, ...args], { cwd: directory, env, signal });
}

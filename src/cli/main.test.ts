import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { AnyCommand, Group } from "./command.ts";
import { candidates } from "./system/completion.ts";
import { docker } from "./testing/docker.ts";
import { cli } from "./testing/fake.ts";
import { root } from "./tree.ts";

test("help of the whole, of a noun and of a command, and that words ask for it too", async () => {
  const whole = await cli(["--help"]);
  expect(whole.out).toStartWith("Usage:  berth [OPTIONS] COMMAND\n\nA container engine");
  for (const argv of [[], ["help"], ["-h"]]) expect(await cli(argv)).toEqual(whole);
  const noun = await cli(["network"]);
  expect(noun).toMatchObject({ status: 0 });
  expect(noun.out).toContain("  connect     Connect a container to a network\n");
  for (const argv of [
    ["network", "--help"],
    ["help", "network"],
  ])
    expect((await cli(argv)).out).toBe(noun.out);
  const one = await cli(["container", "ls", "--help"]);
  expect(one.out).toStartWith("Usage:  berth container ls [OPTIONS]\n\nList containers\n\nOptions:\n  -a, --all");
  expect((await cli(["run", "--name", "x", "--help"])).out).toStartWith("Usage:  berth run ");
  expect((await cli(["ps", "-h"])).out).toStartWith("Usage:  berth ps ");
  expect((await cli(["exec", "c", "--help"])).asked).toHaveLength(1); // the container's own business
});

test("words and flags that are not known", async () => {
  expect(await cli(["pss"])).toMatchObject({
    status: 1,
    err: "berth: unknown command: berth pss\n\nDid you mean 'berth ps'?\n\nRun 'berth --help' for more information\n",
  });
  expect((await cli(["image", "zzzzzz"])).err).toBe(
    "berth: unknown command: berth image zzzzzz\n\nRun 'berth image --help' for more information\n",
  );
  expect(await cli(["--bogus", "ps"])).toMatchObject({ status: 125 });
  expect(await cli(["ps", "--bogus"])).toMatchObject({
    status: 125,
    err: "unknown flag: --bogus\n\nUsage:  berth ps [OPTIONS]\n\nRun 'berth ps --help' for more information\n",
  });
});

test("how many arguments", async () => {
  const told = async (...argv: string[]) => (await cli(argv)).err.split("\n")[0];
  expect(await told("ps", "x")).toBe("berth: 'berth ps' accepts no arguments");
  expect(await told("stop")).toBe("berth: 'berth stop' requires at least 1 argument");
  expect(await told("container", "rename", "x")).toBe("berth: 'berth container rename' requires 2 arguments");
  expect(await told("images", "a", "b")).toBe("berth: 'berth images' requires at most 1 argument");
  expect((await cli(["stop"])).status).toBe(1);
});

test("the version needs no engine", async () => {
  expect(await cli(["--version"])).toMatchObject({ status: 0, asked: [] });
  expect((await cli(["-v"])).out).toMatch(/^Berth version \S+, build \S+\n$/);
});

test("completion offers words, flags and names of what is there", async () => {
  const known: Readonly<Record<string, unknown>> = {
    "/containers/json?all=1": [{ Names: ["/web"] }, { Names: ["/worker", "/db"] }],
    "/images/json": [{ RepoTags: ["nginx:latest"] }],
    "/networks": [{ Name: "bridge" }],
    "/volumes": { Volumes: [{ Name: "data" }] },
  };
  const offered = (line: string) => candidates(root, line.split(" "), async (path) => known[path]);
  expect(await offered("ne")).toEqual(["network"]);
  expect(await offered("volume ins")).toEqual(["inspect"]);
  expect(await offered("-H unix:///x vol")).toEqual(["volume"]);
  expect(await offered("run --volume")).toEqual(["--volume", "--volume-driver", "--volumes-from"]);
  expect(await offered("stop w")).toEqual(["web", "worker"]);
  expect(await offered("stop -t 5 web d")).toEqual(["db"]);
  expect(await offered("stop -t ")).toEqual([]);
  expect(await offered("run -it ")).toEqual(["nginx:latest"]);
  expect(await offered("run nginx:latest w")).toEqual([]);
  expect(await offered("network connect b")).toEqual(["bridge"]);
  expect(await offered("network connect bridge w")).toEqual(["web", "worker"]);
  expect(await offered("volume rm ")).toEqual(["data"]);
  expect(await offered("inspect n")).toEqual(["nginx:latest"]);
  expect(await candidates(root, ["rm", "w"], async () => undefined)).toEqual([]);
  expect((await cli(["__complete", "--", "ps", "--qui"])).out).toBe("--quiet\n");
});

test.each(["bash", "zsh", "fish"])("the completion script for %s is one that the shell takes", async (shell) => {
  const { out, status } = await cli(["completion", shell]);
  expect(status).toBe(0);
  expect(out).toContain("berth __complete --");
  const path = Bun.which(shell);
  if (!path) return;
  const checked = Bun.spawnSync([path, "-n", "/dev/stdin"], { stdin: Buffer.from(out), stderr: "pipe" });
  expect({ code: checked.exitCode, said: checked.stderr.toString() }).toEqual({ code: 0, said: "" });
});

test("an unknown shell is refused", async () => {
  expect(await cli(["completion", "tcsh"])).toMatchObject({
    status: 1,
    err: 'no completion for "tcsh": bash, zsh or fish\n',
  });
});

test.skipIf(Bun.which("bash") === null)("bash completes with it", async () => {
  const { out } = await cli(["completion", "bash"]);
  const script = `berth() { printf '%s\\n' "$@" >&2; echo web; echo db:1; }\n${out}\nCOMP_WORDS=(berth stop -t 5 w); COMP_CWORD=4; _berth; printf '<%s>' "\${COMPREPLY[@]}"`;
  const ran = Bun.spawnSync(["bash", "-c", script], { stdout: "pipe", stderr: "pipe" });
  expect(ran.stdout.toString()).toBe("<web><db:1>");
});

/** What docker has and Berth has not: other issues, swarm, Windows, or long without effect. */
const left = new Set([
  ...["cp", "stats", "login", "logout", "search"],
  ...["checkpoint", "context", "manifest", "plugin", "trust", "config", "node", "secret", "service", "stack", "swarm"],
  ...["help", "cluster", "checkpoint-dir", "cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops"],
  ...["gpus", "isolation", "disable-content-trust", "use-api-socket", "kernel-memory", "ingress", "compress", "tree"],
  ...[
    "availability",
    "group",
    "limit-bytes",
    "required-bytes",
    "secret",
    "sharing",
    "topology-preferred",
    "topology-required",
    "type",
    "volume create scope",
  ],
]);

test.skipIf(!existsSync("/usr/local/bin/docker"))(
  "every command and flag of docker's is here under its name",
  async () => {
    const missing: string[] = [];
    await compare(root, [], missing);
    expect(missing).toEqual([]);
  },
  120_000,
);

async function compare(ours: AnyCommand | Group, words: readonly string[], missing: string[]): Promise<void> {
  const { out } = await docker([...words, "--help"]);
  const help = out.slice(out.indexOf("Usage:"));
  if (ours.kind === "group") {
    const lists = help.slice(0, help.includes("\nGlobal Options:") ? help.indexOf("\nGlobal Options:") : undefined);
    for (const [, word = ""] of lists.matchAll(/^ {2}([a-z]+)\*? {2,}\S/gm)) {
      if (left.has(word) || left.has([...words, word].join(" "))) continue;
      const found = ours.commands.get(word);
      if (found) await compare(found, [...words, word], missing);
      else missing.push([...words, word].join(" "));
    }
    return;
  }
  for (const [, short, flag = ""] of help.matchAll(/^ {2}(?:-(\w), | {4})--([a-z0-9-]+)/gm)) {
    const name = [...words, flag].join(" ");
    if (left.has(flag) || left.has(name)) continue;
    const known = Object.hasOwn(ours.flags, flag) ? ours.flags[flag] : undefined;
    if (!known || (short && known.short !== short)) missing.push(`${name}${short ? ` (-${short})` : ""}`);
  }
}

/**
 * Fails when a document names what is not there: a `./dev` word, a berth command or flag, a file of the repository.
 * Commands are looked up in the command line's own tree, so documentation cannot drift from the code.
 */
import { existsSync } from "node:fs";
import { Glob } from "bun";
import type { AnyCommand, Group } from "../src/cli/command.ts";
import { root } from "../src/cli/tree.ts";
import { daemonFlags } from "../src/daemon/config.ts";
import { registryFlags } from "../src/daemon/registry-flags.ts";
import type { FlagSet } from "../src/flags/mod.ts";

const problems: string[] = [];
const words = devWords(await Bun.file("dev").text());

for (const pattern of ["*.md", "docs/**/*.md"]) {
  for await (const file of new Glob(pattern).scan(".")) check(file, await Bun.file(file).text());
}
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.stdout.write(problems.length === 0 ? "docs: ok\n" : `docs: ${problems.length} things that are not there\n`);
process.exit(problems.length === 0 ? 0 : 1);

function check(file: string, text: string): void {
  for (const [, word = ""] of text.matchAll(/\.\/dev ([a-z]+)/g)) {
    if (!words.has(word)) problems.push(`${file}: ./dev ${word} is not a word of ./dev`);
  }
  for (const [, path = ""] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
    const base = file.includes("/") ? file.slice(0, file.lastIndexOf("/") + 1) : "";
    if (!existsSync(base + path)) problems.push(`${file}: links to ${path}, which does not exist`);
  }
  for (const [, path = ""] of text.matchAll(/`((?:src|test|tools|images|docs|bench)\/[\w./-]+)`/g)) {
    if (!existsSync(path)) problems.push(`${file}: names ${path}, which does not exist`);
  }
  for (const block of text.matchAll(/```(?:sh|console)\n([\s\S]*?)```/g)) {
    for (const line of (block[1] ?? "").split("\n")) checkLine(file, line);
  }
}

function checkLine(file: string, line: string): void {
  const match = /(?:^|\s|\$ )(?:\S*\/)?berth (.+?)(?: [|&;#]|$)/.exec(line);
  if (!match || /^\s*#/.test(line)) return;
  const argv = (match[1] ?? "").split(/\s+/);
  const role = argv[0] === "daemon" ? daemonFlags : argv[0] === "registry" ? registryFlags : undefined;
  if (role) checkFlags(file, argv, role);
  else checkCommand(file, argv);
}

function checkCommand(file: string, argv: readonly string[]): void {
  let at: AnyCommand | Group = root;
  for (const word of argv) {
    if (at.kind === "command") break;
    const next: AnyCommand | Group | undefined = at.commands.get(word);
    if (!next) {
      if (!word.startsWith("-")) problems.push(`${file}: berth ${argv.join(" ")}: ${word} is not a command`);
      return;
    }
    at = next;
  }
  if (at.kind === "command" && at.interspersed) checkFlags(file, argv, at.flags);
}

function checkFlags(file: string, argv: readonly string[], flags: FlagSet): void {
  for (const word of argv) {
    const name = /^--([a-z-]+)/.exec(word)?.[1];
    if (name && name !== "help" && !(name in flags))
      problems.push(`${file}: berth ${argv.join(" ")}: no flag --${name}`);
  }
}

function devWords(text: string): ReadonlySet<string> {
  const cases = text.slice(text.indexOf("case $word in"));
  return new Set([...cases.matchAll(/^ {2}([a-z]+)(?: \| .*)?\)/gm)].map((match) => match[1] ?? ""));
}

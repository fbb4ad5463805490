import { EngineError } from "../../errors/mod.ts";
import { type AnyCommand, command, type Group } from "../command.ts";
import { print } from "../io.ts";
import { find } from "../lookup.ts";

/**
 * Shell completion: the scripts ask `berth __complete WORDS…`, so that what is offered is always what is there.
 * Commands and flags come from the tree, names of objects from the daemon.
 */
export function completionCommands(root: () => Group): AnyCommand[] {
  const complete = command({
    name: "__complete",
    summary: "Candidates for the last word (for shell completion scripts)",
    usage: "WORD...",
    examples: [],
    flags: {},
    args: { min: 0 },
    interspersed: false,
    async run({ args, client }, io) {
      const names = (path: string) => client.json<unknown>({ method: "GET", path }).catch(() => undefined); // no daemon, no names
      const found = await candidates(root(), args, names);
      await print(io, found.map((one) => `${one}\n`).join(""));
      return 0;
    },
  });
  const completion = command({
    name: "completion",
    summary: "Print the completion script of a shell",
    usage: "bash|zsh|fish",
    examples: ["source <(berth completion bash)"],
    flags: {},
    args: { min: 1, max: 1 },
    async run({ args: [shell = ""] }, io) {
      const script = scripts[shell];
      if (!script) throw new EngineError("invalid", `no completion for ${JSON.stringify(shell)}: bash, zsh or fish`);
      await print(io, script);
      return 0;
    },
  });
  return [complete, completion];
}

type Names = (path: string) => Promise<unknown>;

/** What the last of `words` may become. */
export async function candidates(root: Group, words: readonly string[], names: Names): Promise<string[]> {
  const last = words.at(-1) ?? "";
  const { target, rest } = find(root, withoutGlobals(words.slice(0, -1)));
  const all = target.kind === "group" ? wordsOf(target) : await forCommand(target, { typed: rest, last, names });
  return all.filter((one) => one.startsWith(last));
}

/** Options of `berth` itself stand before the command; those with a value take the next word with them. */
function withoutGlobals(words: readonly string[]): readonly string[] {
  let at = 0;
  while (words[at]?.startsWith("-")) at += /^(-H|--host|--config)$/.test(words[at] ?? "") ? 2 : 1;
  return words.slice(at);
}

function wordsOf(target: Group): string[] {
  return [...target.commands.keys()].filter((one) => !one.startsWith("__"));
}

interface Typed {
  readonly typed: readonly string[];
  readonly last: string;
  readonly names: Names;
}

async function forCommand(target: AnyCommand, { typed, last, names }: Typed): Promise<string[]> {
  if (last.startsWith("-")) return Object.keys(target.flags).map((one) => `--${one}`);
  const before = typed.at(-1);
  if (before !== undefined && takesNext(target, before)) return [];
  const count = typed.filter((one, at) => !one.startsWith("-") && !takesNext(target, typed[at - 1] ?? "")).length;
  const expected = target.usage.split(" ").filter((one) => !one.startsWith("[OPTIONS"));
  return objects(expected[Math.min(count, expected.length - 1)] ?? "", names);
}

/** Whether the word after this one is the value of a flag. */
function takesNext(target: AnyCommand, word: string): boolean {
  if (!word.startsWith("-") || word.includes("=")) return false;
  const found = Object.entries(target.flags).find(([name, { short }]) =>
    word.startsWith("--") ? word === `--${name}` : short !== undefined && word.endsWith(short),
  );
  return found !== undefined && found[1].kind !== "bool";
}

/** What the usage line has in that place says which names to offer. */
async function objects(place: string, names: Names): Promise<string[]> {
  if (place.includes("NAME|ID")) return [...(await containers(names)), ...(await images(names))];
  if (place.includes("CONTAINER")) return containers(names);
  if (place.includes("IMAGE")) return images(names);
  if (place.includes("NETWORK")) return textsOf(await names("/networks"), "Name");
  if (!place.includes("VOLUME")) return [];
  const answer = (await names("/volumes")) as { readonly Volumes?: unknown } | undefined;
  return textsOf(answer?.Volumes, "Name");
}

async function containers(names: Names): Promise<string[]> {
  return textsOf(await names("/containers/json?all=1"), "Names").map((one) => one.replace(/^\//, ""));
}

async function images(names: Names): Promise<string[]> {
  return textsOf(await names("/images/json"), "RepoTags");
}

function textsOf(rows: unknown, key: string): string[] {
  return Array.isArray(rows) ? rows.flatMap((row: Record<string, unknown>) => row[key] as string | string[]) : [];
}

const scripts: Readonly<Record<string, string>> = {
  bash: `_berth() {
  local IFS=$'\\n'
  COMPREPLY=($(berth __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
# An image's tag belongs to its name.
COMP_WORDBREAKS=\${COMP_WORDBREAKS//:/}
complete -F _berth berth
`,
  zsh: `#compdef berth
_berth() {
  local -a found
  found=("\${(@f)$(berth __complete -- "\${words[@]:1:CURRENT-1}" 2>/dev/null)}")
  compadd -a found || _files
}
compdef _berth berth
`,
  fish: `complete -c berth -f -a '(berth __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
};

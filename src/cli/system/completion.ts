import { EngineError } from "../../errors/mod.ts";
import { type AnyCommand, command, type Group } from "../command.ts";
import { print } from "../io.ts";

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

export async function candidates(root: Group, words: readonly string[], names: Names): Promise<string[]> {
  const last = words.at(-1) ?? "";
  let at: AnyCommand | Group = root;
  for (const word of words.slice(0, -1)) {
    if (at.kind === "command") break;
    at = at.commands.get(word) ?? at;
  }
  if (at.kind === "group")
    return [...at.commands.keys()].filter((one) => !one.startsWith("__") && one.startsWith(last));
  if (last.startsWith("-"))
    return Object.keys(at.flags)
      .map((one) => `--${one}`)
      .filter((one) => one.startsWith(last));
  return (await objects(at.usage, names)).filter((one) => one.startsWith(last));
}

/** What the usage line asks for says which names to offer. */
async function objects(usage: string, names: Names): Promise<string[]> {
  if (usage.includes("CONTAINER"))
    return listOf(await names("/containers/json?all=1"), "Names").map((one) => one.replace(/^\//, ""));
  if (usage.includes("IMAGE")) return listOf(await names("/images/json"), "RepoTags");
  if (usage.includes("NETWORK")) return listOf(await names("/networks"), "Name");
  if (!usage.includes("VOLUME")) return [];
  const answer = (await names("/volumes")) as { Volumes?: unknown } | undefined;
  return listOf(answer?.Volumes, "Name");
}

function listOf(rows: unknown, key: string): string[] {
  return Array.isArray(rows) ? rows.flatMap((row: Record<string, unknown>) => row[key] as string | string[]) : [];
}

const scripts: Readonly<Record<string, string>> = {
  bash: `_berth() {
  local IFS=$'\\n'
  COMPREPLY=($(berth __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}"))
}
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

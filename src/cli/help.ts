import type { Flag, FlagSet } from "../flags/mod.ts";
import type { AnyCommand, Group } from "./command.ts";

/** `--help` of one command. */
export function commandHelp(target: AnyCommand, name: string): string {
  const parts = [`Usage:  ${name} ${target.usage}`.trimEnd(), target.summary];
  if (Object.keys(target.flags).length > 0) parts.push(`Options:\n${flagLines(target.flags)}`);
  if (target.examples.length > 0) parts.push(`Examples:\n${target.examples.map((one) => `  ${one}`).join("\n")}`);
  return `${parts.join("\n\n")}\n`;
}

/** `--help` of a noun, or of the whole program. */
export function groupHelp(target: Group, name: string, flags: FlagSet): string {
  const seen = new Set<AnyCommand | Group>();
  const entries = [...target.commands.values()].filter(
    (one) => !one.name.startsWith("__") && !seen.has(one) && seen.add(one),
  );
  const section = (title: string, kind: "command" | "group") => {
    const found = entries.filter((one) => one.kind === kind);
    return found.length === 0 ? [] : [`${title}:\n${columns(found.map((one) => [one.name, one.summary]))}`];
  };
  const parts = [
    `Usage:  ${name} [OPTIONS] COMMAND`,
    target.summary,
    ...section("Commands", "command"),
    ...section("Groups", "group"),
  ];
  if (target.name === name) parts.push(`Options:\n${flagLines(flags)}`);
  parts.push(`Run '${name} COMMAND --help' for more information on a command.`);
  return `${parts.join("\n\n")}\n`;
}

function flagLines(flags: FlagSet): string {
  const rows = Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1));
  return columns(rows.map(([name, flag]) => [flagName(name, flag), flag.help + defaultOf(flag)]));
}

function flagName(name: string, flag: Flag<unknown>): string {
  const short = flag.short ? `-${flag.short}, ` : "    ";
  return `${short}--${name}${flag.placeholder ? ` ${flag.placeholder}` : ""}`;
}

function defaultOf(flag: Flag<unknown>): string {
  const { initial } = flag;
  if (initial === undefined || initial === "" || initial === false || Array.isArray(initial)) return "";
  return ` (default ${JSON.stringify(initial)})`;
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

import type { FlagSet } from "../flags/mod.ts";

/** `--help` of the roles that do not go through the command line's own tree. */
export function flagHelp(name: string, summary: string, flags: FlagSet): string {
  const rows = Object.entries(flags).map(([flag, { short, placeholder, help, initial }]) => {
    const left = `${short ? `-${short}, ` : "    "}--${flag}${placeholder ? ` ${placeholder}` : ""}`;
    return [left, typeof initial === "string" && initial !== "" ? `${help} (default ${initial})` : help] as const;
  });
  const width = Math.max(...rows.map(([left]) => left.length));
  return `Usage:  ${name} [OPTIONS]\n\n${summary}\n\nOptions:\n${rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}\n`).join("")}`;
}

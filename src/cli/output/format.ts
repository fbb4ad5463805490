import { compileTemplate } from "../template/evaluate.ts";

/** What the help of every `--format` flag says. */
export const formatHelp = "Format output: table, json, or a Go template";

/** A `--format` template, in which `\t` and `\n` mean what docker's users expect: shells do not translate them. */
export function templateOf(format: string): (data: unknown) => string {
  return compileTemplate(format.replace(/\\t/g, "\t").replace(/\\n/g, "\n"));
}

/** One value as `json` or by a template, with a line's end. */
export function formatted(value: unknown, format: string): string {
  return `${format === "json" ? JSON.stringify(value) : templateOf(format)(value)}\n`;
}

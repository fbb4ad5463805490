import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Scenario, Step } from "./scenario.ts";

/** What a step wrote and how it ended, normalised: `out|` and `err|` in front of each line, `exit N` at the end. */
export type Answer = readonly string[];

/** The answers to a scenario's steps, in order, by the name of the step. */
export type Answers = ReadonlyMap<string, Answer>;

export function answerOf({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }): Answer {
  return [...marked("out", stdout), ...marked("err", stderr), `exit ${code}`];
}

/** Trailing commas of JSON go: a field more after a line is no difference of that line. */
function marked(mark: string, text: string): string[] {
  if (text === "") return [];
  return text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => `${mark}| ${line.replace(/,?\s*$/, "").replaceAll("\r", "\\r")}`.trimEnd());
}

interface Recording {
  /** The major version of docker's command line, whose own words are in the answers. */
  readonly cli: string;
  readonly scenario: Scenario;
}

function fileOf({ cli, scenario }: Recording): string {
  return `${import.meta.dir}/golden/cli-${cli}/${scenario.name}.txt`;
}

export function writeGolden(recording: Recording, answers: Answers): void {
  const file = fileOf(recording);
  mkdirSync(dirname(file), { recursive: true });
  const block = ({ name, line }: Step) => [`[${name}] ${line}`, ...(answers.get(name) ?? []), ""].join("\n");
  writeFileSync(file, recording.scenario.steps.map(block).join("\n"));
}

/** Undefined when it was never recorded, or another command has been written since. */
export function readGolden(recording: Recording): Answers | undefined {
  const file = fileOf(recording);
  if (!existsSync(file)) return undefined;
  const answers = new Map<string, string[]>();
  const lines = new Map<string, string>();
  let current: string[] = [];
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [, name, command] = /^\[([a-z0-9-]+)\] (.*)$/.exec(line) ?? [];
    if (name !== undefined && command !== undefined) {
      current = [];
      lines.set(name, command);
      answers.set(name, current);
    } else if (line !== "") current.push(line);
  }
  return recording.scenario.steps.every(({ name, line }) => lines.get(name) === line) ? answers : undefined;
}

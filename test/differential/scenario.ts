import { readFileSync } from "node:fs";
import { Glob } from "bun";

export interface Step {
  /** Unlike every other of its scenario. */
  readonly name: string;
  /** For `sh -c`, with the docker CLI, `api` and `fields` in the PATH. */
  readonly line: string;
}

export interface Scenario {
  /** `topic/name`, as its file is called. */
  readonly name: string;
  readonly steps: readonly Step[];
}

const directory = `${import.meta.dir}/scenarios`;

/** All of them, or those whose name starts with one of these. Throws for a line that is not `name: command`. */
export function readScenarios(only: readonly string[]): Scenario[] {
  const names = [...new Glob("*/*.txt").scanSync(directory)].map((file) => file.replace(".txt", "")).sort();
  const wanted = names.filter((name) => only.length === 0 || only.some((start) => name.startsWith(start)));
  if (wanted.length === 0) throw new Error(`no scenario is called ${only.join(" or ")}`);
  return wanted.map((name) => ({ name, steps: parse(name, readFileSync(`${directory}/${name}.txt`, "utf8")) }));
}

function parse(scenario: string, text: string): Step[] {
  const steps = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line): Step => {
      const match = /^([a-z0-9-]+): +(.+)$/.exec(line);
      if (!match?.[1] || !match[2]) throw new Error(`${scenario}: not a step: ${line}`);
      return { name: match[1], line: match[2] };
    });
  const twice = steps.find((step, index) => steps.findIndex(({ name }) => name === step.name) !== index);
  if (twice) throw new Error(`${scenario}: two steps are called ${twice.name}`);
  return steps;
}

import { EngineError } from "../../errors/mod.ts";
import { dockerfileError } from "./error.ts";
import { toInstruction } from "./instruction.ts";
import type { ArgInstruction, FromInstruction, Instruction } from "./instructions.ts";
import { parsingLines } from "./parse.ts";
import { inOne, type Steps } from "./slices.ts";

/** A parsed Dockerfile: the ARGs in front of the first FROM, and the stages. */
export interface Dockerfile {
  readonly globals: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  /** Value of the directive `check`. */
  readonly check?: string;
  /** Where instructions that have a blank line inside end. */
  readonly emptyContinuations: readonly number[];
}

export interface Stage {
  readonly from: FromInstruction;
  readonly instructions: readonly Exclude<Instruction, FromInstruction>[];
}

/** Each takes over what the one below it has, so that more would be slow. */
const mostStages = 2000;

/** As many as variables in a stage. */
const mostGlobals = 1000;

/** Lexes, parses and types the whole file; pure. Throws "invalid" with the line of the first mistake. */
export function parseDockerfile(text: string): Dockerfile {
  return inOne(parsing(text));
}

/** The same, in steps. */
export function* parsing(text: string): Steps<Dockerfile> {
  if (text === "") throw new EngineError("invalid", "the Dockerfile cannot be empty");
  const { nodes, check } = yield* parsingLines(text);
  if (nodes.length === 0) throw new EngineError("invalid", "dockerfile parse error: file with no instructions");
  const globals: ArgInstruction[] = [];
  let declared = 0;
  const stages: { from: FromInstruction; instructions: Exclude<Instruction, FromInstruction>[] }[] = [];
  for (const node of nodes) {
    yield;
    const instruction = toInstruction(node);
    const stage = stages.at(-1);
    if (instruction.kind === "arg" && !stage) declared += instruction.args.length;
    if (instruction.kind === "from" && stages.length === mostStages) {
      throw dockerfileError(node, `a Dockerfile has at most ${mostStages} stages`);
    }
    if (instruction.kind === "from") stages.push({ from: instruction, instructions: [] });
    else if (stage) stage.instructions.push(instruction);
    else if (instruction.kind === "arg" && declared > mostGlobals) {
      throw dockerfileError(node, `a Dockerfile has at most ${mostGlobals} ARG instructions before the first FROM`);
    } else if (instruction.kind === "arg") globals.push(instruction);
    else throw dockerfileError(node, "no build stage in current context");
  }
  if (stages.length === 0)
    throw new EngineError("invalid", "dockerfile parse error: no build stage in current context");
  const emptyContinuations = nodes.flatMap((node) => node.emptyContinuation ?? []);
  return { globals, stages, emptyContinuations, ...(check !== undefined && { check }) };
}

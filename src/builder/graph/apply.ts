import { dockerfileError } from "../dockerfile/error.ts";
import type { CopyInstruction, Instruction, RunInstruction, WordInstruction } from "../dockerfile/instructions.ts";
import type { Steps } from "../dockerfile/slices.ts";
import { applyArg, hiddenProxies } from "./args.ts";
import { copyOp } from "./copy.ts";
import {
  applyCommand,
  applyEnv,
  applyHealthcheck,
  applyLabel,
  applyList,
  applyOnbuild,
  applyShell,
  applyWord,
} from "./metadata.ts";
import { joinPath } from "./paths.ts";
import { execOp } from "./run.ts";
import { expander, type StageState } from "./stage.ts";
import type { StageContext } from "./to-graph.ts";
import type { Op, Vertex } from "./vertex.ts";

/** Applies one instruction to its stage: configuration, history, and the vertex that makes its files. */
export function* applyInstruction(stage: StageState, instruction: Instruction, context: StageContext): Steps<void> {
  switch (instruction.kind) {
    case "arg":
      applyArg(stage, instruction, context);
      break;
    case "run":
      applyRun(stage, instruction, context);
      break;
    case "copy":
      applyCopy(stage, instruction, context);
      break;
    case "workdir":
      applyWorkdir(stage, instruction, context);
      break;
    case "env":
      applyEnv(stage, instruction);
      break;
    case "label":
      yield* applyLabel(stage, instruction);
      break;
    case "cmd":
    case "entrypoint":
      applyCommand(stage, instruction);
      break;
    case "expose":
    case "volume":
      applyList(stage, instruction);
      break;
    case "user":
    case "stopsignal":
    case "maintainer":
      applyWord(stage, instruction);
      break;
    case "healthcheck":
      applyHealthcheck(stage, instruction);
      break;
    case "shell":
      applyShell(stage, instruction);
      break;
    case "onbuild":
      applyOnbuild(stage, instruction);
      break;
    case "from":
      throw dockerfileError(instruction, "FROM isn't allowed as an ONBUILD trigger");
    default:
      instruction satisfies never;
  }
}

function applyRun(stage: StageState, instruction: RunInstruction, context: StageContext): void {
  const { op, createdBy, inputs } = execOp(stage, instruction, {
    hiddenEnv: hiddenProxies(context.options),
    from: (name) => context.from(name, instruction),
  });
  append(stage, { op, inputs, createdBy, context });
}

function applyCopy(stage: StageState, instruction: CopyInstruction, context: StageContext): void {
  const { op, createdBy } = copyOp(stage, instruction, (name) => context.from(name, instruction));
  append(stage, { op, inputs: op.from ? [op.from] : [], createdBy, context });
}

/** The directory is made, and belongs to USER, unless it is there. */
function applyWorkdir(stage: StageState, instruction: WordInstruction, context: StageContext): void {
  const word = expander(instruction, stage.env).word(instruction.word);
  const path = joinPath(stage.config.WorkingDir || "/", word).replace(/(?<=.)\/$/, "");
  // An absolute path is told as it was written (BuildKit `system.NormalizeWorkdir`).
  const told = word.startsWith("/") ? word : path;
  stage.config.WorkingDir = told;
  if (path === "/") {
    stage.history.push({ createdBy: `WORKDIR ${told}` });
    return;
  }
  const op: Op = { kind: "workdir", path, user: stage.config.User ?? "" };
  append(stage, { op, inputs: [], createdBy: `WORKDIR ${told}`, context });
}

interface Appended {
  readonly op: Op;
  readonly inputs: readonly Vertex[];
  readonly createdBy: string;
  readonly context: StageContext;
}

function append(stage: StageState, { op, inputs, createdBy, context }: Appended): void {
  const vertex = context.vertex(op, { base: stage.vertex, inputs });
  stage.vertex = vertex;
  stage.history.push({ createdBy, vertex });
}

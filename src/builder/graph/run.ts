import { dockerfileError } from "../dockerfile/error.ts";
import { heredocStart } from "../dockerfile/heredoc.ts";
import type { RunInstruction } from "../dockerfile/instructions.ts";
import type { RunMount } from "../dockerfile/mount.ts";
import { joinPath } from "./paths.ts";
import { type Expander, effectiveArgs, expander, type StageState, shellOf, variables } from "./stage.ts";
import type { ExecMount, ExecOp, Vertex } from "./vertex.ts";

export interface RunContext {
  readonly hiddenEnv: readonly string[];
  /** The stage or image that a mount's `from` names. */
  readonly from: (name: string) => Vertex | undefined;
}

/** What RUN does, and how the history tells it. */
export function execOp(
  stage: StageState,
  instruction: RunInstruction,
  context: RunContext,
): { op: ExecOp; createdBy: string; inputs: Vertex[] } {
  const expand = expander(instruction, variables(stage));
  const { args, script } = commandLine(stage, instruction);
  const declared = effectiveArgs(stage);
  const mounts = instruction.mounts.map((mount) => execMount(mount, { expand, stage, instruction, context }));
  const cwd = stage.config.WorkingDir || "/";
  const op: ExecOp = {
    kind: "exec",
    args,
    env: [...(stage.config.Env ?? []), ...declared],
    hiddenEnv: context.hiddenEnv,
    user: stage.config.User ?? "",
    cwd,
    network: instruction.network,
    mounts,
    ...(script && { script }),
  };
  const shown = declared.length > 0 ? `|${declared.length} ${declared.join(" ")} ` : "";
  const inputs = mounts.flatMap((mount) => mount.input ?? []);
  return { op, createdBy: `RUN ${shown}${args.join(" ")} # buildkit`, inputs };
}

/** The argument vector; here-documents are a script, or go to the shell as they stand (BuildKit `dispatchRun`). */
function commandLine(stage: StageState, instruction: RunInstruction): Pick<ExecOp, "args" | "script"> {
  const { command, heredocs } = instruction;
  if (command.form === "exec") return { args: command.words };
  const text = command.words[0] ?? "";
  const [only] = heredocs;
  if (!only) return { args: [...shellOf(stage), text] };
  if (!heredocStart(text, instruction.escape)) {
    const documents = heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
    return { args: [...shellOf(stage), text + documents.join("")] };
  }
  if (!only.content.startsWith("#!")) return { args: [...shellOf(stage), only.content] };
  if (/[/\0]/.test(only.name)) throw dockerfileError(instruction.line, `invalid here-document name ${only.name}`);
  const path = `/dev/pipes/${only.name}`;
  return { args: [...shellOf(stage), path], script: { path, text: only.content } };
}

interface MountContext {
  readonly expand: Expander;
  readonly stage: StageState;
  readonly instruction: RunInstruction;
  readonly context: RunContext;
}

function execMount(mount: RunMount, { expand, stage, context }: MountContext): ExecMount {
  const target = mount.target === "" ? "" : joinPath(stage.config.WorkingDir ?? "/", expand.word(mount.target));
  const from = mount.from === undefined ? undefined : expand.word(mount.from);
  const input = from === undefined ? undefined : context.from(from);
  return {
    ...mount,
    target,
    source: expand.word(mount.source),
    id: mount.id === mount.target ? target : expand.word(mount.id),
    ...(input && { input }),
  };
}

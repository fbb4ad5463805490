import { posix } from "node:path";
import { spend } from "../dockerfile/budget.ts";
import { dockerfileError } from "../dockerfile/error.ts";
import { heredocStart, textOf } from "../dockerfile/heredoc.ts";
import type { RunInstruction } from "../dockerfile/instructions.ts";
import { type MountFields, toMount } from "../dockerfile/mount.ts";
import { joinPath } from "./paths.ts";
import { expander, type StageState, seenBy, shellOf } from "./stage.ts";
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
  const { args, script } = commandLine(stage, instruction);
  const mounts = instruction.mounts.map((fields) => execMount(fields, { stage, instruction, context }));
  const seen = seenBy(stage);
  const op: ExecOp = {
    kind: "exec",
    args,
    env: seen.env,
    hiddenEnv: context.hiddenEnv,
    user: stage.config.User ?? "",
    cwd: joinPath("/", stage.config.WorkingDir ?? "").replace(/(?<=.)\/$/, ""),
    network: instruction.network,
    mounts,
    ...(script && { script }),
  };
  const inputs = mounts.flatMap((mount) => mount.input ?? []);
  spend(seen.args.length + stage.env.size);
  return { op, createdBy: `RUN ${seen.args}${args.join(" ")} # buildkit`, inputs };
}

/** The argument vector; here-documents are a script, or go to the shell as they stand (BuildKit `dispatchRun`). */
function commandLine(stage: StageState, instruction: RunInstruction): Pick<ExecOp, "args" | "script"> {
  const { command, heredocs } = instruction;
  if (command.form === "exec") return { args: command.words };
  const text = command.words[0] ?? "";
  const [only] = heredocs;
  if (!only) return { args: [...shellOf(stage), text] };
  if (!heredocStart(text)) {
    const documents = heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
    return { args: [...shellOf(stage), text + documents.join("")] };
  }
  const document = textOf(only);
  if (!document.startsWith("#!")) return { args: [...shellOf(stage), document] };
  if (/[/\0]/.test(only.name)) throw dockerfileError(instruction, `invalid here-document name ${only.name}`);
  const path = `/dev/pipes/${only.name}`;
  return { args: [...shellOf(stage), path], script: { path, text: document } };
}

interface MountContext {
  readonly stage: StageState;
  readonly instruction: RunInstruction;
  readonly context: RunContext;
}

/** Targets start at the working directory; what names nothing is named after its target, but for an agent. */
function execMount(fields: MountFields, { stage, instruction, context }: MountContext): ExecMount {
  const { word } = expander(instruction, stage.env);
  const mount = toMount(fields, { lines: instruction, expand: word });
  const input = mount.from === undefined ? undefined : context.from(mount.from);
  const id = mount.id || defaultId(mount);
  const target = targetOf({ ...mount, id }, stage);
  if (target === "/") throw dockerfileError(instruction, 'invalid mount target "/"');
  return { ...mount, target, id: id || target, ...(input && { input }) };
}

/** "" for what is named after its target, once that is known (BuildKit `dispatchSecret`, `dispatchSSH`). */
function defaultId({ type, target }: Pick<ExecMount, "type" | "target">): string {
  if (type === "ssh") return "default";
  return type === "secret" ? posix.basename(target) : "";
}

/** "" for a secret that is a variable alone, and for an SSH agent, which has a place of its own. */
function targetOf(
  { type, target, id, env }: Pick<ExecMount, "type" | "target" | "id" | "env">,
  stage: StageState,
): string {
  if (target !== "" || (type !== "secret" && type !== "ssh")) {
    return joinPath(stage.config.WorkingDir || "/", target).replace(/(?<=.)\/$/, "");
  }
  return type === "ssh" || env !== undefined ? "" : `/run/secrets/${posix.basename(id)}`;
}

import type { ExecInspect } from "../../wire/mod.ts";
import type { Context } from "../context.ts";

export function inspectExec(ctx: Context, execId: string): ExecInspect {
  const { id, body, containerId, phase, pid, exitCode } = ctx.execs.get(execId);
  const [entrypoint = "", ...args] = body.Cmd;
  return {
    ID: id,
    Running: phase === "running",
    ExitCode: exitCode,
    ProcessConfig: {
      tty: body.Tty,
      entrypoint,
      arguments: args,
      privileged: body.Privileged,
      ...(body.User !== "" && { user: body.User }),
    },
    OpenStdin: body.AttachStdin,
    OpenStderr: body.AttachStderr,
    OpenStdout: body.AttachStdout,
    CanRemove: false, // dockerd marks so what its next clean-up forgets, minutes later; here the last ones are kept
    ContainerID: containerId,
    DetachKeys: body.DetachKeys ?? "",
    Pid: pid,
  };
}

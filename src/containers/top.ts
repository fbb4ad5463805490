import { EngineError } from "../errors/mod.ts";
import type { TopAnswer } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { publish } from "./event.ts";
import { resolve } from "./refs.ts";
import { cgroupPath } from "./spec.ts";
import { isLive } from "./transition.ts";

/** The host's `ps` on the container's processes. Throws "conflict" when it does not run, "invalid" for arguments that `ps` refuses. */
export async function top(ctx: Context, ref: string, psArgs: string): Promise<TopAnswer> {
  const row = resolve(ctx.table, ref);
  if (row.phase === "restarting")
    throw new EngineError("conflict", `Container ${row.id} is restarting, wait until the container is running`);
  if (!isLive(row.phase)) throw new EngineError("conflict", `container ${row.id} is not running`);
  refuseRenamedPid(psArgs);
  const args = (psArgs || "-ef").split(/\s+/).filter(Boolean);
  const pids = new Set(ctx.host.cgroups.pids(cgroupPath(row, ctx.config.cgroupParent)));
  if (pids.size === 0) pids.add(row.pid);
  const answer = parsePs(await ps(ctx, { args, pids }), pids);
  publish(ctx, row, { action: "top" });
  return answer;
}

/** `-o comm=PID` would make up a column of pids (moby `daemon/top_unix.go`, validatePSArgs). */
function refuseRenamedPid(psArgs: string): void {
  const [, field = "", title = ""] = /\s([^\s=]*)=\s*(PID\S*)/.exec(` ${psArgs}`) ?? [];
  if (title !== "") throw new EngineError("invalid", `specifying "${field}=${title}" is not allowed`);
}

/** One argument of a program may be 128 KiB long (execve(2)). */
const longestArgument = 100_000;

/**
 * Only the container's processes are asked for, so that no other's name can pass for a line of the list; some options do
 * not go together with that.
 */
async function ps(
  ctx: Context,
  { args, pids }: { readonly args: readonly string[]; readonly pids: ReadonlySet<number> },
): Promise<string> {
  const run = (argv: readonly string[]) => ctx.host.processes.run(["ps", ...argv]);
  const only = `-q${[...pids].join(",")}`;
  const first = only.length < longestArgument ? await run([...args, only]) : undefined;
  if (first?.code === 0) return first.stdout;
  const { code, stdout, stderr } = await run(args);
  if (code === 0) return stdout;
  const [why = ""] = stderr.split("\n");
  throw new EngineError("invalid", `ps: ${why || `exit status ${code}`}`);
}

/**
 * Rows of `ps` output for these processes; the last column keeps its spaces. Threads (`-m`) have a dash for a pid and belong
 * to the process above. Throws "invalid" without a PID column.
 */
export function parsePs(output: string, pids: ReadonlySet<number>): TopAnswer {
  const [header = "", ...lines] = output.split("\n").filter((line) => line.trim() !== "");
  const Titles = header.trim().split(/\s+/);
  const pidColumn = Titles.indexOf("PID");
  if (pidColumn < 0) throw new EngineError("invalid", "Couldn't find PID field in ps output");
  let above = false;
  const Processes = lines
    .map((line) => columns(line, Titles.length))
    .filter((row) => {
      if (row[pidColumn] !== "-") above = pids.has(Number(row[pidColumn]));
      return above;
    });
  return { Titles, Processes };
}

function columns(line: string, count: number): string[] {
  const words = line.trim().split(/\s+/);
  return [...words.slice(0, count - 1), words.slice(count - 1).join(" ")];
}

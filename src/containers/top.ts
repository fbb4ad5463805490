import { EngineError } from "../errors/mod.ts";
import type { TopAnswer } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { resolve } from "./refs.ts";
import { cgroupPath } from "./spec.ts";
import { isLive } from "./transition.ts";

/** The host's `ps` on the container's processes. Throws "conflict" when it does not run, "invalid" for arguments that `ps` refuses. */
export async function top(ctx: Context, ref: string, psArgs: string): Promise<TopAnswer> {
  const row = resolve(ctx.table, ref);
  if (!isLive(row.phase)) throw new EngineError("conflict", `container ${row.id} is not running`);
  const args = (psArgs || "-ef").split(/\s+/).filter(Boolean);
  const { code, stdout, stderr } = await ctx.host.processes.run(["ps", ...args]);
  if (code !== 0) throw new EngineError("invalid", `ps: ${stderr.trim() || `exit status ${code}`}`);
  const pids = new Set(ctx.host.cgroups.pids(cgroupPath(row, ctx.config.cgroupParent)));
  if (pids.size === 0) pids.add(row.pid);
  return parsePs(stdout, pids);
}

/** Rows of `ps` output for these processes; the last column keeps its spaces. Throws "invalid" without a PID column. */
export function parsePs(output: string, pids: ReadonlySet<number>): TopAnswer {
  const [header = "", ...lines] = output.split("\n").filter((line) => line.trim() !== "");
  const Titles = header.trim().split(/\s+/);
  const pidColumn = Titles.indexOf("PID");
  if (pidColumn < 0) throw new EngineError("invalid", "Couldn't find PID field in ps output");
  const Processes = lines.map((line) => columns(line, Titles.length)).filter((row) => pids.has(Number(row[pidColumn])));
  return { Titles, Processes };
}

function columns(line: string, count: number): string[] {
  const words = line.trim().split(/\s+/);
  return [...words.slice(0, count - 1), words.slice(count - 1).join(" ")];
}

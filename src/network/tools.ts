import { EngineError } from "../errors/mod.ts";
import type { Context } from "./context.ts";

/** ip(8), for what is too rare to be worth a netlink message of our own. */
export interface Link {
  readonly name: string;
  /** The bridge that it is a port of. */
  readonly master?: string;
  readonly alias?: string;
}

/** Every link of the host. */
export async function links(context: Context): Promise<Link[]> {
  const found = await json<{ ifname: string; master?: string; ifalias?: string }[]>(context, ["ip", "-j", "link"]);
  return found.map(({ ifname, master, ifalias }) => ({
    name: ifname,
    ...(master !== undefined && { master }),
    ...(ifalias !== undefined && { alias: ifalias }),
  }));
}

/** Runs the lines in one ip(8); stops at the first that fails. */
export async function ipBatch(context: Context, lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await run(context, ["ip", "-batch", "-"], `${lines.join("\n")}\n`);
}

/** Deletes links, whichever of them are still there; resolves when the kernel is done with them. */
export async function deleteLinks(context: Context, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const stdin = names.map((name) => `link del ${name}\n`).join("");
  const { stderr } = await context.host.processes.run(["ip", "-force", "-batch", "-"], { stdin });
  const problems = stderr
    .split("\n")
    .filter((line) => line !== "" && !/Cannot find device|No such device|Command failed/.test(line));
  if (problems.length > 0)
    throw new EngineError("internal", `Delete links ${names.join(", ")}: ${problems.join("; ")}`);
}

async function json<T>(context: Context, argv: readonly string[]): Promise<T> {
  return JSON.parse((await run(context, argv)) || "[]") as T;
}

async function run(context: Context, argv: readonly string[], stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await context.host.processes.run(argv, stdin === undefined ? {} : { stdin });
  if (code !== 0) throw new EngineError("internal", `${argv.join(" ")}: ${stderr.trim() || `exit code ${code}`}`);
  return stdout;
}

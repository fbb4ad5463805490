import { ptr } from "bun:ffi";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { EngineError, messageOf } from "../errors/mod.ts";
import { systemError } from "./errno.ts";
import type { Processes } from "./host.ts";
import { cString, errno, libc } from "./libc.ts";
import { missingProgram } from "./programs.ts";

const MNT_DETACH = 2;
const MS_BIND = 4096;

/** An empty file for a namespace to be bound at. Throws "conflict" when the path exists. */
export function claimPath(path: string): void {
  try {
    writeFileSync(path, "", { flag: "wx", mode: 0o600 });
  } catch (err) {
    const exists = (err as NodeJS.ErrnoException).code === "EEXIST";
    throw new EngineError(exists ? "conflict" : "internal", `Create ${path}: ${messageOf(err)}`, { cause: err });
  }
}

/** Binds a namespace's file at a path that was claimed, which keeps the namespace without a process in it. */
export function bindNamespace(from: string, to: string): void {
  if (libc.mount(ptr(cString(from)), ptr(cString(to)), null, MS_BIND, null) === 0) return;
  throw systemError(`Bind the namespace ${from} at ${to}`, errno());
}

/** No error when it is gone. */
export function removeNamespace(path: string): void {
  libc.umount2(ptr(cString(path)), MNT_DETACH);
  rmSync(path, { force: true });
}

/**
 * Runs a program that becomes cat(1) in new namespaces, after whatever it does there first; calls `use` with its pid
 * while it is there. Throws "unavailable" with what the program said when it does not get that far.
 */
export async function withProcess(
  processes: Pick<Processes, "spawn">,
  argv: readonly string[],
  use: (pid: number) => void,
): Promise<void> {
  const child = processes.spawn(argv, { stdio: ["pipe", "pipe", "pipe"] });
  const [stdin, stdout, stderr] = [0, 1, 2].map((number) => child.pipes.get(number));
  let said = "";
  stderr?.on("data", (bytes) => {
    said += String(bytes);
  });
  stdin?.on("error", () => undefined); // it has ended, which its exit code says
  stdin?.write("\n");
  try {
    const echoed = stdout ? once(stdout, "data").then(() => true) : false;
    if (!(await Promise.race([echoed, child.exited.then(() => false)]))) throw await failure(argv, child.exited, said);
    use(child.pid);
  } finally {
    stdin?.end();
    await child.exited;
    for (const pipe of child.pipes.values()) pipe.destroy();
  }
}

/** 127 is what a shell and util-linux say when the program that they are to become is not there. */
async function failure(argv: readonly string[], exited: Promise<number>, said: string): Promise<EngineError> {
  const code = await exited;
  if (code === 127) return new EngineError("unavailable", missingProgram("ip"));
  return new EngineError("unavailable", said.trim() || `${argv.join(" ")} ended with exit code ${code}`);
}

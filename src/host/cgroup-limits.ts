import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import type { CgroupLimit, Cgroups } from "./host.ts";

export interface CgroupAt {
  readonly root: string;
  readonly version: Cgroups["version"];
  readonly path: string;
}

/** Files that an update of a container changes. On v1 the word before the dot is the hierarchy. */
const v1Files =
  "memory.limit_in_bytes memory.memsw.limit_in_bytes memory.soft_limit_in_bytes cpu.shares cpu.cfs_period_us cpu.cfs_quota_us cpu.rt_period_us cpu.rt_runtime_us cpuset.cpus cpuset.mems pids.max blkio.weight".split(
    " ",
  );
const v2Files =
  "memory.max memory.swap.max memory.low cpu.weight cpu.max cpuset.cpus cpuset.mems pids.max io.weight io.bfq.weight".split(
    " ",
  );

/** What is set now, by file. */
export function readLimits(at: CgroupAt): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of at.version === "v2" ? v2Files : v1Files) {
    const value = read(at, file);
    if (value !== undefined) found.set(file, value);
  }
  return found;
}

/**
 * Sets what differs from `limits`. The kernel keeps some in order (memory never above memory and swap together), so what is
 * refused is tried again after the rest. Throws "internal" naming the file that cannot be set.
 */
export function writeLimits(at: CgroupAt, limits: ReadonlyMap<string, string>): void {
  const differing = () => [...limits].filter(([file, value]) => read(at, file) !== value);
  let failure: EngineError | undefined;
  for (let round = 0; round < 3 && differing().length > 0; round++) {
    failure = undefined;
    for (const [file, value] of differing()) failure = attempt(at, { file, value }) ?? failure;
  }
  if (failure) throw failure;
}

/** "No limit" in the kernel's words: 100 ms is its own default period. */
export function liftLimit(at: CgroupAt, limit: CgroupLimit): void {
  const v2 = at.version === "v2";
  const [file, value] =
    limit === "pids"
      ? ["pids.max", "max"]
      : v2
        ? ["cpu.max", `max ${read(at, "cpu.max")?.split(" ")[1] ?? 100_000}`]
        : ["cpu.cfs_quota_us", "-1"];
  const failure = attempt(at, { file, value });
  if (failure) throw failure;
}

function attempt(at: CgroupAt, { file, value }: { file: string; value: string }): EngineError | undefined {
  try {
    writeFileSync(fileOf(at, file), `${value}\n`); // the line's end makes it a write even of nothing, which clears a cpuset
    return undefined;
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException;
    return new EngineError("internal", `write ${value} to ${fileOf(at, file)}: ${code}`, { cause: err });
  }
}

function read(at: CgroupAt, file: string): string | undefined {
  try {
    return readFileSync(fileOf(at, file), "utf8").trim();
  } catch {
    return undefined; // not in this kernel, or not below this cgroup
  }
}

function fileOf({ root, version, path }: CgroupAt, file: string): string {
  return version === "v2" ? join(root, path, file) : join(root, file.slice(0, file.indexOf(".")), path, file);
}

import { EngineError } from "../errors/mod.ts";
import type { HostConfig, UpdateBody } from "../wire/mod.ts";

/** Two ways to limit the CPU exclude each other, and memory above the swap limit that is there wants a new one; as moby has it. */
export function checkConflicts(id: string, host: HostConfig, body: UpdateBody): void {
  const why = cpuConflict(host, body) ?? memoryConflict(host, body);
  if (why !== undefined) throw new EngineError("conflict", `Cannot update container ${id}: ${why}`);
}

function cpuConflict(host: HostConfig, body: UpdateBody): string | undefined {
  const pairs = [
    ["NanoCpus", "CpuPeriod", "Nano CPUs", "CPU Period"],
    ["NanoCpus", "CpuQuota", "Nano CPUs", "CPU Quota"],
    ["CpuPeriod", "NanoCpus", "CPU Period", "NanoCPUs"],
    ["CpuQuota", "NanoCpus", "CPU Quota", "NanoCPUs"],
  ] as const;
  const found = pairs.find(([asked, set]) => (body[asked] ?? 0) > 0 && host[set] > 0);
  return found && `Conflicting options: ${found[2]} cannot be updated as ${found[3]} has already been set`;
}

function memoryConflict(host: HostConfig, { Memory = 0, MemorySwap = 0 }: UpdateBody): string | undefined {
  if (Memory === 0 || MemorySwap !== 0 || host.MemorySwap < 0 || Memory <= host.MemorySwap) return undefined;
  if (host.MemorySwap === 0) return undefined;
  return "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
}

import { EngineError } from "../../errors/mod.ts";
import { text, type Values } from "../../flags/mod.ts";
import { command } from "../command.ts";
import { print } from "../io.ts";
import { each } from "../session/each.ts";
import { parseRestart } from "./devices.ts";
import { limitFlags } from "./flags.ts";
import { containerPath } from "./path.ts";

const updateFlags = { ...limitFlags, restart: text("Restart policy to apply when a container exits") };

export const update = command({
  name: "update",
  summary: "Update configuration of one or more containers",
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  examples: ["berth update --memory 512m --cpus 0.5 db"],
  flags: updateFlags,
  args: { min: 1 },
  async run({ flags, given, args, client }, io) {
    if (given.size === 0)
      throw new EngineError("invalid", "you must provide one or more flags when using this command");
    const body = updateBody(flags);
    const warnings: string[] = [];
    const status = await each(io, args, async (name) => {
      const path = containerPath(name, "/update");
      const { Warnings } = await client.json<{ Warnings?: string[] | null }>({ method: "POST", path, body });
      warnings.push(...(Warnings ?? []));
      return name;
    });
    if (warnings.length > 0) await print(io, `${warnings.join("\n")}\n`);
    return status;
  },
});

/** What is 0 or empty stays as it is. */
function updateBody(flags: Values<typeof updateFlags>): Record<string, unknown> {
  return {
    BlkioWeight: flags["blkio-weight"],
    CpuPeriod: flags["cpu-period"] ?? 0,
    CpuQuota: flags["cpu-quota"] ?? 0,
    CpuRealtimePeriod: flags["cpu-rt-period"] ?? 0,
    CpuRealtimeRuntime: flags["cpu-rt-runtime"] ?? 0,
    CpuShares: flags["cpu-shares"] ?? 0,
    NanoCpus: flags.cpus,
    CpusetCpus: flags["cpuset-cpus"],
    CpusetMems: flags["cpuset-mems"],
    Memory: flags.memory,
    MemoryReservation: flags["memory-reservation"],
    MemorySwap: flags["memory-swap"],
    ...(flags["pids-limit"] !== undefined && { PidsLimit: flags["pids-limit"] }),
    ...(flags.restart && { RestartPolicy: parseRestart(flags.restart) }),
  };
}

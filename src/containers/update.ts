import { cpus } from "node:os";
import { EngineError } from "../errors/mod.ts";
import { resourcesOf as runtimeResources } from "../runtime/mod.ts";
import type { HostConfig, UpdateBody } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { publishing } from "./event.ts";
import { resolve } from "./refs.ts";
import { resourcesOf } from "./spec.ts";
import { isLive } from "./transition.ts";
import { checkRestart } from "./validate.ts";
import { checkResources } from "./validate-resources.ts";

/** Changes limits and the restart policy, at once where it runs. A limit that is 0 or absent stays as it is. */
export async function update(ctx: Context, ref: string, body: UpdateBody): Promise<{ Warnings: readonly string[] }> {
  const { id } = resolve(ctx.table, ref);
  return ctx.locks.run(id, async () => {
    const row = resolve(ctx.table, id);
    if (row.phase === "removing" || row.phase === "dead") {
      throw new EngineError(
        "conflict",
        `Cannot update container ${id}: Container is marked for removal and cannot be "update".`,
      );
    }
    const hostConfig = merged(row.hostConfig, body);
    checkRestart(hostConfig);
    const Warnings = checkResources(hostConfig, cpus().length);
    if (isLive(row.phase)) {
      await ctx.runtime.limit(id, runtimeResources(resourcesOf(hostConfig), ctx.config.limits));
    }
    ctx.table.update(id, { hostConfig }, publishing(ctx, { action: "update" }));
    return { Warnings };
  });
}

/** Docker's rule: what is absent, null, 0 or "" was not asked for. */
function merged(host: HostConfig, { RestartPolicy, ...limits }: UpdateBody): HostConfig {
  const set = Object.entries(limits).filter(
    ([, value]) => value !== 0 && value !== "" && value !== null && value !== undefined,
  );
  const policy = RestartPolicy?.Name ? { RestartPolicy } : {};
  const over = Object.fromEntries(set) as Partial<HostConfig>;
  if (over.NanoCpus) return { ...host, ...over, ...policy, CpuPeriod: 0, CpuQuota: 0 };
  if (over.CpuPeriod || over.CpuQuota) return { ...host, ...over, ...policy, NanoCpus: 0 };
  return { ...host, ...over, ...policy };
}

import { ownerOrRoot } from "../../rootfs/mod.ts";
import type { Plan, Planned } from "../context.ts";
import type { WorkdirOp } from "../graph/vertex.ts";
import { workdirJob } from "../jobs/workdir.ts";
import { openRoot } from "../root.ts";

/** WORKDIR: a snapshot of its own only where the directory is missing. */
export function planWorkdir({ build }: Planned, op: WorkdirOp): Plan {
  const { context } = build;
  return {
    key: ["workdir", op.path, op.user],
    kind: "workdir",
    description: `WORKDIR ${op.path}`,
    shared: true,
    run: async (base, signal) => {
      await using root = await openRoot(context, base?.snapshot, { signal });
      const owner = ownerOrRoot(context.host.rooted(root.path), op.user);
      const input = { root: root.path, path: op.path, owner };
      const wasThere = await context.host.workers.run(workdirJob, input, { signal });
      return wasThere ? base?.snapshot : await root.commit();
    },
  };
}

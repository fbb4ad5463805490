import type { Image } from "../images/mod.ts";
import { chainIds, type Digest } from "../oci/mod.ts";
import type { Build } from "./context.ts";
import { layerOf } from "./export.ts";
import type { Vertex } from "./graph/vertex.ts";
import type { KeptFailure } from "./ops/failure.ts";
import type { Solver } from "./solve.ts";

export interface FailedStep {
  readonly kept: KeptFailure;
  readonly solver: Solver;
}

/** An image with the files that a failed step left, and with the directory, user and variables that its process had. */
export async function failedImage(build: Build, { kept, solver }: FailedStep): Promise<Image> {
  const { images, layers } = build.context;
  const { base, steps } = below(kept.vertex);
  const from = base === undefined ? undefined : images.get(base);
  const snapshots: string[] = [];
  for (const step of steps) snapshots.push((await solver.solve(step)).snapshot ?? "");
  const made = [...new Set(snapshots), kept.snapshot].filter((name) => name !== "");
  const own = await Promise.all(made.map((snapshot) => layerOf(build, snapshot)));
  const changed = own.filter(({ empty }) => !empty);
  const diffIds = [...(from?.config.rootfs.diff_ids ?? []), ...changed.map(({ diffId }) => diffId)];
  const chains = chainIds(diffIds).slice(-changed.length || diffIds.length);
  const packed = new Map<Digest, number>();
  for (const [index, layer] of changed.entries()) {
    const [chain, snapshot] = [chains[index], made[own.indexOf(layer)]];
    if (chain && snapshot && layer.bytes === undefined) layers.recordChain(chain, snapshot);
    else if (chain && layer.bytes !== undefined) packed.set(chain, layer.bytes);
  }
  const { os, architecture } = from?.config ?? build.context.config.platform;
  const blobs = [...(from ? images.layers(from) : []), ...changed.map(({ blob }) => blob)];
  return images.register({
    config: {
      created: new Date().toISOString(),
      os,
      architecture,
      config: runConfig(kept),
      rootfs: { type: "layers", diff_ids: diffIds },
    },
    layers: blobs,
    packed,
  });
}

/** The steps that a vertex stands on, lowest first, and the image below them. */
function below(vertex: Vertex): { base?: Digest; steps: readonly Vertex[] } {
  const steps: Vertex[] = [];
  for (let at = vertex.base; at; at = at.base) {
    if (at.op.kind === "image") return { base: at.op.image, steps };
    steps.unshift(at);
  }
  return { steps };
}

function runConfig({ op }: KeptFailure) {
  const [program = ""] = op.args;
  const shell = /\/(?:ba|da|a|k|z)?sh$/.test(program) ? program : "/bin/sh";
  return { Env: [...op.env], WorkingDir: op.cwd, User: op.user, Cmd: [shell] };
}

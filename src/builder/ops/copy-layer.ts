import { randomBytes } from "node:crypto";
import { streamJob } from "../../host/mod.ts";
import { resolveOwner } from "../../rootfs/mod.ts";
import type { Running } from "../context.ts";
import type { CopyOp } from "../graph/vertex.ts";
import { type LayerInput, layerJob } from "../jobs/layer.ts";
import type { SelectOutput } from "../jobs/select.ts";

/**
 * The result of a COPY from the context as a layer alone, made from the archive that the context came in: nothing is
 * written that no later step reads. undefined when this is no such step, or only copying can tell what comes of it.
 */
export async function copyAsLayer(
  { build, base, isLast }: Running,
  { op, selected }: { readonly op: CopyOp; readonly selected: SelectOutput["selected"] },
): Promise<string | undefined> {
  const { packed } = build.files.place;
  const plain = op.keyword === "COPY" && op.origin === "context" && !op.parents && op.exclude.length === 0;
  const mode = op.chmod === undefined ? undefined : octal(op.chmod);
  if (!packed || !plain || !isLast || Number.isNaN(mode)) return undefined;
  const { content, host, packedLayers } = build.context;
  const below = await build.views.path(base?.snapshot);
  const owner = op.chown === undefined ? { uid: 0, gid: 0 } : resolveOwner(host.rooted(below), op.chown);
  const input: LayerInput = {
    ...{ packed, selected, destination: op.destination, owner },
    ...(!op.link && { below }),
    ...(mode !== undefined && { mode }),
  };
  const { bytes, done } = streamJob(host.workers, layerJob, { input, signal: build.signal });
  await using ingest = await content.ingest();
  for await (const piece of bytes) await ingest.write(piece);
  const written = await done;
  if (!written) return undefined;
  const { digest, size } = await ingest.commit();
  const name = `build/${randomBytes(12).toString("hex")}`;
  packedLayers.record({ name, parent: base?.snapshot ?? null, digest, size, bytes: written.bytes });
  return name;
}

/** NaN for symbolic modes, which depend on each file's own. */
function octal(chmod: string): number {
  return /^[0-7]{1,4}$/.test(chmod) ? Number.parseInt(chmod, 8) : Number.NaN;
}

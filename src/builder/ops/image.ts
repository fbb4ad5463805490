import type { Image } from "../../images/mod.ts";
import { type Digest, hexOf } from "../../oci/mod.ts";
import { cacheKey } from "../cache.ts";
import type { Build, Solved } from "../context.ts";
import type { ImageOp, Vertex } from "../graph/vertex.ts";

/** The files of an image, unpacked if they are not. */
export async function solveImage(build: Build, { vertex, op }: { vertex: Vertex; op: ImageOp }): Promise<Solved> {
  const image = build.context.images.get(op.image);
  const snapshot = await build.context.images.rootfs(image);
  build.output.done(vertex, { id: hexOf(image.id).slice(0, 12), cached: true });
  return {
    ...(snapshot !== undefined && { snapshot }),
    created: Date.parse(image.config.created ?? "") || 0,
    cached: true,
    portable: imageKey(image),
  };
}

/** Images with the same layers are the same to all steps. */
export function imageKey({ config }: Image): Digest {
  return cacheKey(["image", config.rootfs.diff_ids]);
}

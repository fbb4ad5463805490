import { closeSync, openSync, readSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { type Flow, FlowWriter, type Job, type JobContext } from "../../host/mod.ts";
import { encodeTarHeader, type TarHeader, tarEnd, tarPadding } from "../../stream/mod.ts";
import { readIndex } from "../files/context-index.ts";
import type { ContextNode, FileNode } from "../files/context-tree.ts";
import { type LayerPlan, planLayer } from "../files/layer-plan.ts";
import type { Owner } from "../files/place.ts";
import { raw } from "../files/raw.ts";
import type { Selected } from "../files/select.ts";
import type { PackedFiles } from "./select.ts";

export interface LayerInput {
  readonly packed: PackedFiles;
  readonly selected: readonly Selected[];
  /** The root that the layer comes on top of, mounted; undefined for a layer that does not depend on it. */
  readonly below?: string;
  readonly destination: string;
  readonly owner: Owner;
  readonly mode?: number;
}

/** `bytes`: what the files take on a disk. undefined, and nothing written, when the files have to be copied to know. */
export type LayerOutput = { readonly bytes: number } | undefined;

/** Writes the layer of a COPY from the context's archive, without a file system in between. For `streamJob`. */
export const layerJob: Job<LayerInput & Flow, LayerOutput> = {
  name: "builder.layer",
  run(input, context) {
    const plan = planLayer(input.selected, {
      context: readIndex(input.packed.index),
      below: input.below === undefined ? undefined : raw(input.below),
      destination: raw(input.destination),
      owner: input.owner,
      ...(input.mode !== undefined && { mode: input.mode }),
      now: BigInt(Math.floor(Date.now() / 1000)) * 1_000_000_000n,
    });
    return plan && write(input, { plan, context });
  },
};

const block = 4096;

function write(input: LayerInput & Flow, { plan, context }: { plan: LayerPlan; context: JobContext }): LayerOutput {
  const writer = new FlowWriter(input, context);
  const archive = openSync(input.packed.archive, "r");
  let bytes = 0;
  try {
    for (const [path, node] of plan.files.entries()) {
      writer.write(encodeTarHeader(headerOf(path, { node, owner: plan.kept.get(path) ?? input.owner })));
      if (node.type === "file") content(writer, { node, archive });
      if (node.type !== "symlink") bytes += node.type === "file" ? Math.ceil(node.size / block) * block : block;
    }
    writer.write(tarEnd);
    writer.flush();
    return { bytes };
  } finally {
    closeSync(archive);
  }
}

function headerOf(path: string, { node, owner }: { node: ContextNode; owner: Owner }): TarHeader {
  return {
    name: Buffer.from(path, "latin1"),
    type: node.type,
    mode: node.mode,
    uid: owner.uid,
    gid: owner.gid,
    size: node.type === "file" ? BigInt(node.size) : 0n,
    mtime: node.mtime,
    ...(node.type === "symlink" && { linkname: Buffer.from(node.target, "latin1") }),
    ...(node.xattrs && node.xattrs.length > 0 && { xattrs: new Map(node.xattrs) }),
  };
}

const buffer = Buffer.allocUnsafe(256 * 1024);

function content(writer: FlowWriter, { node, archive }: { node: FileNode; archive: number }): void {
  for (let at = 0; at < node.size; ) {
    const got = readSync(archive, buffer, 0, Math.min(buffer.length, node.size - at), node.offset + at);
    if (got === 0) throw new EngineError("internal", "The archive of the context is shorter than its index says");
    writer.write(buffer.subarray(0, got));
    at += got;
  }
  writer.write(tarPadding(BigInt(node.size)));
}

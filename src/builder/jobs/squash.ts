import { closeSync, openSync, readSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import { type Flow, FlowWriter, type Job, type JobContext } from "../../host/mod.ts";
import { encodeTarHeader, TarDecoder, tarEnd, tarPadding } from "../../stream/mod.ts";
import { LayerMerger, type MergedEntry } from "../files/merge-layers.ts";

export interface SquashInput {
  /** Archives of layers that are not compressed, lowest first. */
  readonly layers: readonly string[];
}

/** Writes one layer that does what these do. Returns what its files take on a disk. For `streamJob`. */
export const squashJob: Job<SquashInput & Flow, number> = {
  name: "builder.squash",
  run(input, context) {
    const writer = new FlowWriter(input, context);
    const merger = new LayerMerger();
    const files = input.layers.map((path) => openSync(path, "r"));
    try {
      for (const fd of files) read(fd, { merger, context });
      let bytes = 0;
      for (const entry of merger.entries()) bytes += write(writer, { entry, files });
      writer.write(tarEnd);
      writer.flush();
      return bytes;
    } finally {
      for (const fd of files) closeSync(fd);
    }
  },
};

const chunk = 256 * 1024;

function read(fd: number, { merger, context }: { merger: LayerMerger; context: JobContext }): void {
  const decoder = new TarDecoder(merger);
  merger.nextLayer();
  const buffer = Buffer.allocUnsafe(chunk);
  for (let at = 0; !decoder.ended; ) {
    context.check();
    const got = readSync(fd, buffer, 0, chunk, at);
    if (got === 0) break;
    merger.pushing(buffer, at);
    decoder.push(buffer.subarray(0, got));
    at += got;
  }
  decoder.finish();
}

const block = 4096;

function write(writer: FlowWriter, { entry, files }: { entry: MergedEntry; files: readonly number[] }): number {
  const { header, place } = entry;
  writer.write(encodeTarHeader(header));
  if (header.type !== "file") return header.type === "directory" ? block : 0;
  const fd = place && files[place.layer];
  const buffer = Buffer.allocUnsafe(chunk);
  for (let left = Number(header.size), at = place?.offset ?? 0; left > 0; ) {
    const got = fd === undefined ? 0 : readSync(fd, buffer, 0, Math.min(chunk, left), at);
    if (got === 0) throw new EngineError("internal", "A layer is shorter than its entries say");
    writer.write(buffer.subarray(0, got));
    left -= got;
    at += got;
  }
  writer.write(tarPadding(header.size));
  return Math.ceil(Number(header.size) / block) * block;
}

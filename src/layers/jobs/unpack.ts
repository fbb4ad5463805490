import { createHash } from "node:crypto";
import { EngineError, kindOf, wrap } from "../../errors/mod.ts";
import { confined, type Job, type JobContext } from "../../host/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { decompress, TarDecoder } from "../../stream/mod.ts";
import { type BlobSource, readBlob } from "./source.ts";
import { type Unpacked, Unpacker } from "./unpacker.ts";

export interface UnpackInput extends BlobSource {
  /** An empty directory that takes the layer's files. */
  readonly target: string;
  /** What the uncompressed archive must hash to. */
  readonly diffId: Digest;
}

/** Unpacks a layer's blob, whatever it is compressed with, and verifies it. What a failure leaves in the target is the caller's to remove. */
export const unpackLayer: Job<UnpackInput, Unpacked> = {
  name: "unpackLayer",
  run: async (input, context) => {
    try {
      return await unpack(input, context);
    } catch (err) {
      throw kindOf(err) === "canceled" ? err : wrap(err, `Unpack layer ${input.diffId}`);
    }
  },
};

async function unpack(input: UnpackInput, context: JobContext): Promise<Unpacked> {
  const hash = createHash("sha256");
  const unpacker = new Unpacker();
  const decoder = new TarDecoder(unpacker);
  try {
    for await (const piece of decompress(readBlob(input, context))) {
      hash.update(piece);
      confined(input.target, () => decoder.push(piece));
      context.check();
    }
    decoder.finish();
    const found = `sha256:${hash.digest("hex")}`;
    if (found !== input.diffId) throw new EngineError("invalid", `its content has the digest ${found}`);
    return confined(input.target, () => unpacker.finish());
  } finally {
    unpacker.close();
  }
}

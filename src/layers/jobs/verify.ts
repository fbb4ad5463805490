import { createHash } from "node:crypto";
import { EngineError, kindOf, wrap } from "../../errors/mod.ts";
import type { Job } from "../../host/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { decompress } from "../../stream/mod.ts";
import { type BlobSource, readBlob } from "./source.ts";

export interface VerifyInput extends BlobSource {
  /** What the uncompressed archive must hash to. */
  readonly diffId: Digest;
}

/** Hashes what a layer's blob decompresses to, without unpacking it. */
export const verifyLayer: Job<VerifyInput, void> = {
  name: "verifyLayer",
  run: async (input, context) => {
    try {
      const hash = createHash("sha256");
      for await (const piece of decompress(readBlob(input, context))) {
        hash.update(piece);
        context.check();
      }
      const found = `sha256:${hash.digest("hex")}`;
      if (found !== input.diffId) throw new EngineError("invalid", `its content has the digest ${found}`);
    } catch (err) {
      throw kindOf(err) === "canceled" ? err : wrap(err, `Verify layer ${input.diffId}`);
    }
  },
};

import { EngineError } from "../../errors/mod.ts";

/** Programs and texts come to a twentieth of their size at best, what comes to less than this part is made to fill disks. */
const largestRatio = 200;
/** Bytes that are no harm, whatever the ratio. */
const harmless = 1024 ** 3;

/** To how many bytes so many may decompress. */
export function mostDecompressed(compressed: number): number {
  return Math.max(harmless, compressed * largestRatio);
}

/** Passes bytes on until there are more than so many come from may decompress to. `compressed` may still grow. Throws "invalid". */
export async function* withoutBomb(
  bytes: AsyncIterable<Uint8Array>,
  compressed: () => number,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > harmless && size > mostDecompressed(compressed())) throw bomb(compressed());
    yield piece;
  }
}

export function bomb(compressed: number): EngineError {
  const why = `decompresses to more than ${largestRatio} times its ${compressed} bytes`;
  return new EngineError("invalid", `an archive ${why}, which is refused`);
}

import { collect, fromBuffer } from "../../stream/mod.ts";
import { dockerfileContext, type SentContext } from "./context.ts";

/** Enough of an archive to know that it is one. */
const head = 512;

/** Bytes; no Dockerfile comes near it, while somebody may pipe the wrong file. */
const largestDockerfile = 1 << 24;

/** An archive goes out as it comes in; anything else is a Dockerfile (docker looks at the first bytes as well). */
export async function stdinContext(stdin: AsyncIterable<Uint8Array>, file: string): Promise<SentContext> {
  const source = stdin[Symbol.asyncIterator]();
  const first = await readHead(source);
  if (isArchive(first)) return { bytes: rest(first, source), dockerfile: file || "Dockerfile" };
  return dockerfileContext(await collect(rest(first, source), largestDockerfile));
}

async function readHead(source: AsyncIterator<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for (let size = 0; size < head; ) {
    const { done, value } = await source.next();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  return Buffer.concat(chunks);
}

/** tar, or what gzip, zstd, bzip2 and xz begin with. */
function isArchive(bytes: Buffer): boolean {
  if (bytes.subarray(257, 262).toString() === "ustar") return true;
  const magic = bytes.toString("hex", 0, 5);
  return ["1f8b", "28b52ffd", "425a68", "fd377a585a"].some((one) => magic.startsWith(one));
}

async function* rest(first: Buffer, source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* fromBuffer(first);
  for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
}

import type { ClientStore } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { type Caller, Code, ConnectError } from "../grpc/mod.ts";
import type { Descriptor, Digest } from "../oci/mod.ts";
import { content, contentPiece, contentStoreHeader, writeAction } from "../proto/mod.ts";
import { type Bytes, inPieces } from "../stream/mod.ts";

export const contentService = "/containerd.services.content.v1.Content";

/** One of the client's content stores, such as a directory in OCI's layout. */
export function contentStore(caller: Caller, id: string): ClientStore {
  const client = caller.client(content.Content);
  const headers = { [contentStoreHeader]: id };
  return {
    async size(digest, signal) {
      try {
        const { info } = await client.info({ digest }, { headers, signal });
        return Number(info?.size ?? 0n);
      } catch (err) {
        if (err instanceof ConnectError && err.code === Code.NotFound) return undefined;
        throw toldOf(err, { id, digest });
      }
    },
    async *read({ digest, size }, signal) {
      let left = size;
      try {
        for await (const { data } of client.read({ digest }, { headers, signal })) {
          if (data.length > left) throw new EngineError("invalid", `more than the ${size} bytes of the descriptor`);
          left -= data.length;
          yield data;
        }
      } catch (err) {
        throw toldOf(err, { id, digest });
      }
    },
    async write(target, bytes, signal) {
      try {
        const answers = client.write(requests(target, bytes), { headers, signal });
        for await (const _ of answers); // one for each piece
      } catch (err) {
        if (err instanceof ConnectError && err.code === Code.AlreadyExists) return;
        throw toldOf(err, { id, digest: target.digest });
      }
    },
  };
}

async function* requests({ digest, size }: Descriptor, bytes: Bytes) {
  const common = { ref: `berth-${digest}`, total: BigInt(size), expected: digest };
  let offset = 0n;
  for await (const piece of bytes) {
    for (const data of inPieces(piece, contentPiece)) {
      yield { ...common, action: writeAction.write, offset, data };
      offset += BigInt(data.length);
    }
  }
  yield { ...common, action: writeAction.commit, offset };
}

/** What the client answered, and about what. */
function toldOf(err: unknown, { id, digest }: { id: string; digest: Digest }): unknown {
  if (!(err instanceof ConnectError)) return err;
  const kind = err.code === Code.NotFound ? "not-found" : "invalid";
  return new EngineError(kind, `the client's ${id}: ${digest}: ${err.rawMessage}`, { cause: err });
}

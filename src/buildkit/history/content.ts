import { Code, ConnectError, type ConnectRouter } from "../../grpc/mod.ts";
import { content, contentPiece } from "../../proto/mod.ts";
import { inPieces } from "../../stream/mod.ts";
import { grpcErrors } from "../errors.ts";
import type { BuildHistory } from "./history.ts";

/** containerd.services.content.v1.Content, to be read only, of what records refer to. */
export function historyContent(history: Pick<BuildHistory, "blob" | "blobSize">) {
  return (router: ConnectRouter): ConnectRouter =>
    router.service(
      content.Content,
      grpcErrors({
        info: ({ digest }: content.InfoRequest) => {
          const size = history.blobSize(digest);
          if (size === undefined) throw missing(digest);
          return { info: { digest, size: BigInt(size) } };
        },
        read: (request: content.ReadContentRequest) => read(history, request),
      }),
    );
}

async function* read(history: Pick<BuildHistory, "blob">, { digest, offset, size }: content.ReadContentRequest) {
  const bytes = await history.blob(digest);
  if (!bytes) throw missing(digest);
  const end = size === 0n ? BigInt(bytes.length) : offset + size;
  if (offset < 0n || size < 0n || offset > end || end > BigInt(bytes.length))
    throw new ConnectError(`${digest} has ${bytes.length} bytes`, Code.OutOfRange);
  let at = offset;
  for (const data of inPieces(bytes.subarray(Number(offset), Number(end)), contentPiece)) {
    yield { offset: at, data };
    at += BigInt(data.length);
  }
}

/** With the code by which containerd's clients know it. */
function missing(digest: string): ConnectError {
  return new ConnectError(`content ${digest.slice(0, 100)}: not found`, Code.NotFound);
}

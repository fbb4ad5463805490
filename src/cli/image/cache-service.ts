import { messageOf } from "../../errors/mod.ts";
import { Code, ConnectError, type ConnectRouter } from "../../grpc/mod.ts";
import { type Digest, isDigest } from "../../oci/mod.ts";
import { content, contentStoreHeader, writeAction } from "../../proto/mod.ts";
import type { CacheDirectory, CacheWrite } from "./cache-directory.ts";

export const contentMethods = ["Info", "Read", "Write"].map(
  (name) => `/containerd.services.content.v1.Content/${name}`,
);

/** Lets the daemon read and write the directories of `--cache-from` and `--cache-to`, by the name of each. */
export function contentService(directories: ReadonlyMap<string, CacheDirectory>) {
  const directoryOf = (headers: Headers): CacheDirectory => {
    const id = headers.get(contentStoreHeader) ?? "";
    const found = directories.get(id);
    if (found) return found;
    throw new ConnectError(`there is no content store ${id}`, Code.NotFound);
  };
  return (router: ConnectRouter): ConnectRouter =>
    router.service(content.Content, {
      info: ({ digest }, { requestHeader }) => {
        const size = sizeOf(directoryOf(requestHeader), digestFrom(digest));
        return { info: { digest, size: BigInt(size) } };
      },
      async *read({ digest: named, offset, size }, { requestHeader }) {
        const directory = directoryOf(requestHeader);
        const digest = digestFrom(named);
        sizeOf(directory, digest);
        let at = offset;
        const end = size > 0n ? { end: Number(offset + size) } : {};
        for await (const data of directory.read(digest, { start: Number(offset), ...end })) {
          yield { offset: at, data };
          at += BigInt(data.length);
        }
      },
      write: (requests, { requestHeader }) => written(directoryOf(requestHeader), requests),
    });
}

/** One blob: a piece in each message, then the one that completes it. */
async function* written(directory: CacheDirectory, requests: AsyncIterable<content.WriteContentRequest>) {
  await using undo = new AsyncDisposableStack();
  let write: CacheWrite | undefined;
  for await (const { action, total, expected, offset, data } of requests) {
    const digest = digestFrom(expected);
    write ??= undo.use(await directory.write({ digest, size: Number(total) }).catch(refuse));
    if (Number(offset) !== write.offset) throw new ConnectError("pieces out of order", Code.OutOfRange);
    await write.write(data).catch(refuse);
    if (action === writeAction.commit) await write.commit().catch(refuse);
    yield { action, offset: BigInt(write.offset), total, ...(action === writeAction.commit && { digest }) };
    if (action === writeAction.commit) return;
  }
}

/** The daemon is told why, and with it the user. */
function refuse(err: unknown): never {
  throw new ConnectError(messageOf(err), Code.FailedPrecondition);
}

function sizeOf(directory: CacheDirectory, digest: Digest): number {
  const size = directory.size(digest);
  if (size !== undefined) return size;
  throw new ConnectError(`content ${digest}: not found`, Code.NotFound);
}

function digestFrom(text: string): Digest {
  if (isDigest(text)) return text;
  throw new ConnectError("no sha256 digest", Code.InvalidArgument);
}

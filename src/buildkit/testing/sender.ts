import { create } from "@bufbuild/protobuf";
import type { HandlerContext } from "../../grpc/mod.ts";
import { fsutil } from "../../proto/mod.ts";

/** A client's file, as much of fsutil's `Stat` as a test cares for. */
export interface SentFile {
  readonly mode?: number;
  readonly content?: string | Uint8Array;
  readonly linkname?: string;
  /** Its name where that is not UTF-8. */
  readonly rawPath?: Uint8Array;
  readonly size?: bigint;
  /** Nanoseconds since 1970. */
  readonly modTime?: bigint;
  readonly xattrs?: Readonly<Record<string, Uint8Array>>;
}

export type SentFiles = Readonly<Record<string, SentFile>>;

const usual = 1_700_000_000_123_456_789n;

type Packets = AsyncIterable<fsutil.Packet>;

/** fsutil's sending side: lists everything, then answers requests in 32 KiB pieces until the other side says FIN. */
export function sender(directories: Readonly<Record<string, SentFiles>>, seen: Headers[] = []) {
  return async function* diffCopy(packets: Packets, context: HandlerContext): AsyncGenerator<fsutil.Packet> {
    seen.push(context.requestHeader);
    const files = Object.entries(directories[context.requestHeader.get("dir-name") ?? ""] ?? {});
    for (const [path, file] of files) yield listed(path, file);
    yield create(fsutil.PacketSchema, { type: 0 });
    for await (const { type, id } of packets) {
      if (type === 3) {
        yield create(fsutil.PacketSchema, { type: 3 });
        return;
      }
      yield* contents(id, files[id]?.[1]);
    }
  };
}

function listed(path: string, file: SentFile): fsutil.Packet {
  const { mode = 0o644, content = "", linkname = "", size, rawPath, modTime = usual, xattrs = {} } = file;
  const length = BigInt(Buffer.from(content).length);
  const names = { path: rawPath ?? Buffer.from(path), linkname: Buffer.from(linkname) };
  const stat = { ...names, mode, size: size ?? length, modTime, xattrs };
  return create(fsutil.PacketSchema, { type: 0, stat });
}

function* contents(id: number, file: SentFile | undefined): Generator<fsutil.Packet> {
  const bytes = Buffer.from(file?.content ?? "");
  for (let at = 0; at < bytes.length; at += 32768) {
    yield create(fsutil.PacketSchema, { type: 2, id, data: bytes.subarray(at, at + 32768) });
  }
  yield create(fsutil.PacketSchema, { type: 2, id });
}

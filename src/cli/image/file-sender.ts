import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { EngineError } from "../../errors/mod.ts";
import { Code, ConnectError, type HandlerContext } from "../../grpc/mod.ts";
import { readIgnoreFile } from "../../patterns/mod.ts";
import { fsutil, packetType, statOf } from "../../proto/mod.ts";
import { inPieces } from "../../stream/mod.ts";
import { entryOf, type Found, headerOf, walkContext } from "./walk.ts";

type Packets = AsyncIterable<fsutil.Packet>;

/** Bytes in one message; Go's side takes 4 MiB. */
const pieceSize = 256 * 1024;

/**
 * BuildKit's `FileSync.DiffCopy` of the named contexts of a build, by their names: lists a directory, then answers requests for
 * contents until the daemon says FIN. What a directory's .dockerignore leaves out is never listed, so that the patterns that the
 * daemon reads there and sends have nothing to add; `followpaths` are files at the directory's top.
 */
export function fileSender(directories: ReadonlyMap<string, string>) {
  return async function* diffCopy(packets: Packets, { requestHeader }: HandlerContext): AsyncGenerator<fsutil.Packet> {
    const name = plain(requestHeader, "dir-name").join(", ");
    const root = directories.get(name);
    if (root === undefined) throw new ConnectError(`no access allowed to dir ${JSON.stringify(name)}`, Code.NotFound);
    const only = plain(requestHeader, "followpaths");
    const listed = [...filesOf(root, only)];
    for (const one of listed) yield create(fsutil.PacketSchema, { type: packetType.stat, stat: one.stat });
    yield create(fsutil.PacketSchema, { type: packetType.stat });
    for await (const { type, id } of packets) {
      if (type === packetType.finish) break;
      const wanted = listed[id];
      if (type !== packetType.request || !wanted) throw new EngineError("invalid", `the daemon asked for file ${id}`);
      yield* contents(root, { id, found: wanted.found });
    }
    yield create(fsutil.PacketSchema, { type: packetType.finish });
  };
}

interface Listed {
  readonly found: Found;
  readonly stat: fsutil.Stat;
}

/** What the directory's .dockerignore leaves, or of that only the named files. */
function* filesOf(root: string, only: readonly string[]): Generator<Listed> {
  for (const found of walkContext(root, { patterns: ignored(root), exact: new Map([[".dockerignore", "keep"]]) })) {
    if (only.length > 0 && !only.includes(found.name.toString())) continue;
    const header = headerOf(root, found);
    const stat = header && statOf(header);
    if (stat) yield { found, stat };
  }
}

function ignored(root: string): string[] {
  const path = join(root, ".dockerignore");
  return statSync(path, { throwIfNoEntry: false })?.isFile() ? readIgnoreFile(readFileSync(path, "utf8")) : [];
}

async function* contents(root: string, { id, found }: { id: number; found: Found }): AsyncGenerator<fsutil.Packet> {
  for await (const bytes of entryOf(root, found)?.content ?? []) {
    for (const data of inPieces(bytes, pieceSize))
      yield create(fsutil.PacketSchema, { type: packetType.data, id, data });
  }
  yield create(fsutil.PacketSchema, { type: packetType.data, id });
}

/** Values that are not plain ASCII come percent-encoded, and are said to be (BuildKit session/filesync, `decodeOpts`). */
function plain(headers: Headers, name: string): string[] {
  const values = headers.get(name)?.split(", ") ?? [];
  return headers.get(`${name}-encoded`) === "1" ? values.map(decodeURIComponent) : values;
}

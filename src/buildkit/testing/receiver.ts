import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "../../grpc/mod.ts";
import { fsutil } from "../../proto/mod.ts";
import { directorySend } from "../file-send.ts";

export interface Received {
  readonly mode: number;
  readonly linkname: string;
  size: number;
}

/** fsutil's receiving side: asks for every regular file as it is listed, and remembers how many bytes came. */
export function receiver() {
  const files = new Map<string, Received>();
  async function* diffCopy(packets: AsyncIterable<fsutil.Packet>): AsyncGenerator<fsutil.Packet> {
    const byId: Received[] = [];
    let open = 0;
    let listed = false;
    for await (const { type, id, stat, data } of packets) {
      if (type === 0 && stat) {
        const file = { mode: stat.mode, linkname: Buffer.from(stat.linkname).toString(), size: 0 };
        files.set(Buffer.from(stat.path).toString(), file);
        byId.push(file);
        if ((file.mode & 0x8f28_0000) === 0 && file.linkname === "") {
          open++;
          yield create(fsutil.PacketSchema, { type: 1, id: byId.length - 1 });
        }
      } else if (type === 0) listed = true;
      const file = byId[id];
      if (type === 2 && file) file.size += data.length;
      if (type === 2 && data.length === 0) open--;
      if (listed && open === 0 && type !== 3) yield create(fsutil.PacketSchema, { type: 3 });
    }
  }
  return { files, register: (router: ConnectRouter) => router.service(directorySend, { diffCopy }) };
}

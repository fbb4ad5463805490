import { fromBuffer, type TarEntry, type TarType, writeTar } from "../../stream/mod.ts";

export interface TarFile {
  readonly name: string;
  readonly content?: string | Uint8Array;
  readonly type?: TarType;
  readonly link?: string;
}

export function tarEntry({ name, content = "", type = "file", link }: TarFile): TarEntry {
  const bytes = Buffer.from(content);
  return {
    header: {
      name: Buffer.from(name),
      type,
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: BigInt(bytes.length),
      mtime: 0n,
      ...(link !== undefined && { linkname: Buffer.from(link) }),
    },
    content: fromBuffer(bytes),
  };
}

export async function tarOf(files: readonly TarFile[]): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(writeTar(files.map(tarEntry))));
}

/** Archives for this folder's tests, whole and broken, and who else reads and writes them. */
import { collect } from "../bytes.ts";
import type { Bytes, TarHeader } from "../stream.ts";
import { encodeTarHeader } from "./encode.ts";
import { blockSize, checksums } from "./header.ts";
import { formatPax } from "./pax.ts";
import { readTar } from "./read.ts";

export interface Read extends TarHeader {
  readonly text: string;
}

export async function readAll(bytes: Bytes): Promise<Read[]> {
  const entries: Read[] = [];
  for await (const { header, content } of readTar(bytes)) {
    entries.push({ ...header, text: (await collect(content, 1 << 20)).toString("latin1") });
  }
  return entries;
}

export async function* inPieces(bytes: Uint8Array, size: number): Bytes {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export function run(argv: string[], { cwd = ".", stdin = "" } = {}): Buffer {
  const child = Bun.spawnSync(argv, { cwd, stdin: Buffer.from(stdin), stdout: "pipe", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${argv.join(" ")}: ${child.stderr}`);
  return child.stdout;
}

/** An archive made by Python's tarfile; `body` adds to `t` with `add(name, data, **attributes)`. */
export function python(format: "PAX" | "GNU" | "USTAR", body: string): Buffer {
  return run(["python3", "-"], {
    stdin: `
import tarfile, io, sys
out = io.BytesIO()
t = tarfile.open(fileobj=out, mode="w", format=tarfile.${format}_FORMAT)
def add(name, data=b"", **kw):
    i = tarfile.TarInfo(name); i.size = len(data)
    for k, v in kw.items(): setattr(i, k, v)
    t.addfile(i, io.BytesIO(data) if data else None)
${body}
t.close()
sys.stdout.buffer.write(out.getvalue())
`,
  });
}

export const name = (entry: TarHeader) => Buffer.from(entry.name).toString("latin1");
export const base: TarHeader = {
  name: Buffer.from("f"),
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0n,
  mtime: 0n,
};

/** One header block changed and its checksum made right again. */
export function patched(header: TarHeader, change: (block: Buffer) => void): Buffer {
  const block = encodeTarHeader(header);
  change(block);
  block.write(`${checksums(block).unsigned.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

export function block(text: string | Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.ceil(text.length / blockSize) * blockSize);
  padded.set(Buffer.from(text as string));
  return padded;
}

export function pax(flag: "x" | "g", records: [string, string | Uint8Array][]): Buffer {
  const data = formatPax(records);
  return Buffer.concat([patched({ ...base, size: BigInt(data.length) }, (b) => b.write(flag, 156)), block(data)]);
}

export async function failure(bytes: Bytes): Promise<unknown> {
  return readAll(bytes).catch((err: unknown) => err);
}

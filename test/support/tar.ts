/** Archives for tests, also such as no honest program makes: names and sizes are written as they are given. */
export interface Entry {
  readonly name: string;
  readonly type?: keyof typeof types;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string;
  readonly data?: string | Uint8Array;
  /** Said in the header instead of the length of the data. */
  readonly size?: number;
  readonly device?: readonly [major: number, minor: number];
  /** Records of a PAX header in front, such as `SCHILY.xattr.user.x`. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>;
}

const types = { file: "0", hardlink: "1", symlink: "2", char: "3", block: "4", directory: "5", fifo: "6", pax: "x" };

export function tar(...entries: readonly Entry[]): Uint8Array {
  return Buffer.concat([...entries.flatMap(blocks), Buffer.alloc(1024)]);
}

function blocks(entry: Entry): Uint8Array[] {
  const records = entry.pax ? blocks({ name: "pax", type: "pax", data: paxRecords(entry.pax) }) : [];
  const data = Buffer.from(entry.data ?? "");
  return [...records, header(entry, data.length), data, Buffer.alloc(-data.length & 511)];
}

function header(entry: Entry, length: number): Uint8Array {
  const block = Buffer.alloc(512);
  const octal = (value: number, at: number, width: number) =>
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at);
  block.write(entry.name, 0, 100);
  octal(entry.mode ?? (entry.type === "directory" ? 0o755 : 0o644), 100, 8);
  octal(entry.uid ?? 0, 108, 8);
  octal(entry.gid ?? 0, 116, 8);
  octal(entry.size ?? length, 124, 12);
  octal(entry.mtime ?? 1_000_000_000, 136, 12);
  block.write(types[entry.type ?? "file"], 156);
  block.write(entry.link ?? "", 157, 100);
  block.write("ustar\x0000", 257);
  octal(entry.device?.[0] ?? 0, 329, 8);
  octal(entry.device?.[1] ?? 0, 337, 8);
  block.fill(" ", 148, 156);
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return block;
}

function paxRecords(records: Readonly<Record<string, string | Uint8Array>>): Uint8Array {
  return Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, Buffer.from(value))));
}

/** The length in front counts itself, too. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (`${length}`.length + rest.length !== length) length++;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

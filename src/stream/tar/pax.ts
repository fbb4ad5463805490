import { EngineError } from "../../errors/mod.ts";

/** Records of a pax header: keys are text, values need not be. An empty value takes an earlier record back. */
export type PaxRecords = Map<string, Buffer>;

/** GNU sparse 0.0 repeats these keys, one pair a segment; here they are joined as in 0.1, "offset,length,…". */
const sparseKeys = ["GNU.sparse.offset", "GNU.sparse.numbytes"];

/** "LENGTH KEY=VALUE\n" one after the other (POSIX.1-2017, pax, "pax Extended Header"). Throws "invalid". */
export function parsePax(data: Buffer): PaxRecords {
  const records: PaxRecords = new Map();
  const segments: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const { key, value, end } = record(data, at);
    if (sparseKeys.includes(key)) segments.push(value);
    else records.set(key, value);
    at = end;
  }
  if (segments.length > 0) records.set("GNU.sparse.map", Buffer.from(segments.map(String).join(",")));
  return records;
}

function record(data: Buffer, at: number): { key: string; value: Buffer; end: number } {
  const space = data.indexOf(0x20, at);
  const digits = space < 0 || space - at > 10 ? "" : data.toString("latin1", at, space);
  const end = at + (/^\d+$/.test(digits) ? Number(digits) : Number.NaN);
  const equals = data.indexOf(0x3d, space);
  if (!(end <= data.length) || equals < 0 || equals >= end || end <= space || data[end - 1] !== 0x0a) {
    throw new EngineError("invalid", `bad pax record at byte ${at} of the extended header`);
  }
  const key = data.toString("utf8", space + 1, equals);
  const value = data.subarray(equals + 1, end - 1);
  if (key === "" || (!key.startsWith("SCHILY.xattr.") && value.includes(0))) {
    throw new EngineError("invalid", `bad pax record ${JSON.stringify(key.slice(0, 60))}`);
  }
  return { key, value, end };
}

/** The length counts itself. */
export function formatPax(records: Iterable<readonly [string, Uint8Array | string]>): Buffer {
  const parts: Buffer[] = [];
  for (const [key, value] of records) {
    const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.of(0x0a)]);
    let length = body.length + String(body.length).length;
    if (String(length).length > String(body.length).length) length++;
    parts.push(Buffer.from(String(length)), body);
  }
  return Buffer.concat(parts);
}

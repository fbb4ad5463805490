import { EngineError } from "../../errors/mod.ts";

/** Bytes up to the first NUL. */
export function field(block: Uint8Array, start: number, length: number): Uint8Array {
  const bytes = block.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** A number of a header: octal digits between spaces and NULs, or base-256 when the top bit is set (tar(5), "GNU tar archives"). */
export function number(block: Uint8Array, start: number, length: number): bigint {
  const first = block[start] ?? 0;
  if (first & 0x80) return base256(block.subarray(start, start + length));
  let value = 0n;
  let small = 0;
  let at = start;
  const end = start + length;
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0x20 || byte === 0) break;
    if (byte < 0x30 || byte > 0x37) throw new EngineError("invalid", `bad octal number at byte ${at} of the header`);
    small = small * 8 + (byte - 0x30);
  }
  value += BigInt(small);
  return value;
}

/** Big endian two's complement; the top bit of the first byte is the marker, the next one the sign. */
function base256(bytes: Uint8Array): bigint {
  let value = BigInt((bytes[0] ?? 0) & 0x7f);
  for (const byte of bytes.subarray(1)) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(bytes.length * 8 - 1, value);
}

/** As {@link number}, for what must be a count or an id. */
export function count(block: Uint8Array, start: number, length: number): number {
  return safe(number(block, start, length), "number");
}

/** Throws "invalid" below 0 and above 2^53-1, which is beyond any file system's limit. */
export function safe(value: bigint, what: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new EngineError("invalid", `${what} ${value} is out of range`);
  return Number(value);
}

/** A decimal number of a pax record. */
export function decimal(text: string, what: string): number {
  if (!/^\d{1,20}$/.test(text))
    throw new EngineError("invalid", `${what} ${JSON.stringify(text.slice(0, 40))} is not a number`);
  return safe(BigInt(text), what);
}

/** Seconds with an optional fraction, as pax has them, in nanoseconds; digits beyond the ninth are cut off towards the past. */
export function paxTime(text: string): bigint {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (!match) throw new EngineError("invalid", `time ${JSON.stringify(text.slice(0, 40))} is not a number`);
  const nanos = BigInt(match[2] ?? 0) * 1_000_000_000n + BigInt((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  return match[1] === "-" ? -nanos : nanos;
}

/** The opposite of {@link paxTime}, as short as can be. */
export function formatTime(nanos: bigint): string {
  const magnitude = nanos < 0n ? -nanos : nanos;
  const fraction = String(magnitude % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${nanos < 0n ? "-" : ""}${magnitude / 1_000_000_000n}${fraction === "" ? "" : `.${fraction}`}`;
}

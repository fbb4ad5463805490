/** Docker's word for "never". */
export const never = "0001-01-01T00:00:00Z";

/** The instant in RFC 3339, UTC, with nine digits after the point: such strings sort in time's order. */
export function instant(ms: number = Date.now()): string {
  return `${new Date(ms).toISOString().slice(0, -1)}000000Z`;
}

/** Milliseconds since 1970 of an instant; 0 for "". */
export function millis(at: string): number {
  return at === "" ? 0 : Date.parse(at);
}

/** Nanoseconds since 1970 of an RFC 3339 instant with any offset; undefined when it is none. */
export function nanos(at: string): bigint | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(at);
  if (!parts) return undefined;
  const seconds = Date.parse(`${parts[1]}${parts[3]}`);
  if (Number.isNaN(seconds)) return undefined;
  return BigInt(seconds) * 1_000_000n + BigInt((parts[2] ?? "").padEnd(9, "0"));
}

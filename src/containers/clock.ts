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

/** "5 seconds", "About a minute", "3 weeks": go-units' HumanDuration, which `docker ps` shows. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(ms / 3_600_000);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

const second = 1_000_000_000n;

/** Nanoseconds since 1970 as records have their times, so that both compare as texts. Years beyond 9999 are the last instant of that. */
export function timeText(nanos: bigint): string {
  const seconds = nanos / second;
  if (seconds < 0n) return "0000-01-01T00:00:00.000000000Z";
  if (seconds >= 253_402_300_800n) return "9999-12-31T23:59:59.999999999Z";
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(nanos % second).padStart(9, "0")}Z`;
}

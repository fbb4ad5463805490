/** Nanoseconds since 1970, in milliseconds' steps. */
export function now(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

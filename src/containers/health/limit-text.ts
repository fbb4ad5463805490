const units = [
  ["h", 3_600_000],
  ["m", 60_000],
] as const;

/** Milliseconds as Go prints a duration: `500ms`, `1.5s`, `1m30s`, `1h0m0s`. */
export function limitText(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  let rest = ms;
  let text = "";
  for (const [name, size] of units) {
    if (ms < size) continue;
    text += `${Math.floor(rest / size)}${name}`;
    rest %= size;
  }
  return `${text}${rest / 1000}s`;
}

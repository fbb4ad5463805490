/** `… | fields`: JSON from standard input, a sorted line for each value in it, so that the order of keys is no difference. */
const lines: string[] = [];
collect("$", JSON.parse(await Bun.stdin.text()));
process.stdout.write(`${lines.sort().join("\n")}\n`);

function collect(at: string, value: unknown): void {
  const entries = typeof value === "object" && value !== null ? Object.entries(value) : [];
  if (entries.length === 0) lines.push(`${at}: ${JSON.stringify(value)}`);
  for (const [key, one] of entries) collect(Array.isArray(value) ? `${at}[${key}]` : `${at}.${key}`, one);
}

export {};

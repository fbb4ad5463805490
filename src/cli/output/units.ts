/** Numbers and times as docker's users read them. */

/** Decimal units with three significant digits, as in image lists: `187MB`. */
export function decimalSize(bytes: number): string {
  return scaled(bytes, { base: 1000, units: ["B", "kB", "MB", "GB", "TB", "PB"] });
}

/** Binary units, as in memory limits: `512MiB`. */
export function binarySize(bytes: number): string {
  return scaled(bytes, { base: 1024, units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] });
}

function scaled(bytes: number, { base, units }: { base: number; units: readonly string[] }): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${Number(value.toPrecision(value >= 1000 ? 4 : 3))}${units[unit]}`;
}

const steps: readonly [number, string, number][] = [
  [60, "second", 1],
  [60 * 60, "minute", 60],
  [48 * 60 * 60, "hour", 60 * 60],
  [14 * 24 * 60 * 60, "day", 24 * 60 * 60],
  [60 * 24 * 60 * 60, "week", 7 * 24 * 60 * 60],
  [2 * 365 * 24 * 60 * 60, "month", 30 * 24 * 60 * 60],
  [Number.POSITIVE_INFINITY, "year", 365 * 24 * 60 * 60],
];

/** `5 minutes`, in docker's words. */
export function humanDuration(seconds: number): string {
  if (seconds < 1) return "Less than a second";
  if (seconds >= 60 && seconds < 120) return "About a minute";
  if (seconds >= 3600 && seconds < 7200) return "About an hour";
  const [, word, size] = steps.find(([below]) => seconds < below) ?? [0, "year", 365 * 24 * 60 * 60];
  const count = Math.floor(seconds / size);
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** `5 minutes ago`, for Unix seconds. */
export function ago(unixSeconds: number, now: number = Date.now()): string {
  return `${humanDuration(Math.max(0, now / 1000 - unixSeconds))} ago`;
}

/** The twelve characters that people type. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}

/** Cut to `length` characters, the last one an ellipsis. */
export function ellipsis(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** From so many hours on (exclusive), in units of so many hours. */
const longUnits: readonly (readonly [below: number, word: string, hours: number])[] = [
  [48, "hour", 1],
  [24 * 14, "day", 24],
  [24 * 60, "week", 24 * 7],
  [24 * 365 * 2, "month", 24 * 30],
  [Number.POSITIVE_INFINITY, "year", 24 * 365],
];

/** `5 minutes`, `About an hour`: seconds in docker's words (go-units `HumanDuration`). */
export function humanDuration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 1) return "Less than a second";
  if (whole < 60) return plural(whole, "second");
  const minutes = Math.floor(whole / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return plural(minutes, "minute");
  const hours = Math.floor(seconds / 3600 + 0.5);
  if (hours === 1) return "About an hour";
  const [, word, size] = longUnits.find(([below]) => hours < below) ?? [0, "year", 24 * 365];
  return plural(Math.floor(hours / size), word);
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

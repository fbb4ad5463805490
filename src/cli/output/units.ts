import { humanDuration } from "../../wire/mod.ts";

/** Numbers and times as docker's users read them (github.com/docker/go-units). */

/** Decimal units with so many significant digits: `187MB`. */
export function decimalSize(bytes: number, digits = 3): string {
  return scaled(bytes, { base: 1000, units: ["B", "kB", "MB", "GB", "TB", "PB"], digits });
}

/** Binary units, as in memory limits: `512MiB`. */
export function binarySize(bytes: number): string {
  return scaled(bytes, { base: 1024, units: ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], digits: 4 });
}

interface Scale {
  readonly base: number;
  readonly units: readonly string[];
  readonly digits: number;
}

function scaled(bytes: number, { base, units, digits }: Scale): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${Number(value.toPrecision(value >= 1000 ? 4 : digits))}${units[unit]}`;
}

/** `5 minutes ago`, for Unix seconds. */
export function ago(unixSeconds: number, now: number = Date.now()): string {
  return `${humanDuration(Math.max(0, now / 1000 - unixSeconds))} ago`;
}

/** `2026-11-23 22:52:10 +0100 CET`, as Go prints a time; Unix seconds. */
export function goTime(unixSeconds: number): string {
  const at = new Date(unixSeconds * 1000);
  const offset = -at.getTimezoneOffset();
  const local = new Date(at.getTime() + offset * 60_000).toISOString().slice(0, 19).replace("T", " ");
  return `${local} ${offsetText(offset, "")} ${zoneName(at)}`;
}

/** `2026-11-23T22:52:10.000000001+01:00`, for nanoseconds since 1970. */
export function isoNanoseconds(nanoseconds: bigint): string {
  const at = new Date(Number(nanoseconds / 1_000_000n));
  const offset = -at.getTimezoneOffset();
  const local = new Date(at.getTime() + offset * 60_000).toISOString().slice(0, 19);
  const fraction = String(nanoseconds % 1_000_000_000n).padStart(9, "0");
  return `${local}.${fraction}${offset === 0 ? "Z" : offsetText(offset, ":")}`;
}

function offsetText(minutes: number, separator: string): string {
  const pad = (value: number) => String(Math.floor(value)).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${pad(Math.abs(minutes) / 60)}${separator}${pad(Math.abs(minutes) % 60)}`;
}

function zoneName(at: Date): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(at);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "UTC";
}

/** The twelve characters that people type. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}

/** Cut to `length` characters, the last one an ellipsis. */
export function ellipsis(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

/** `a=b,c=d`. */
export function labelsText(labels: Readonly<Record<string, string>> | null | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

import { EngineError } from "../errors/mod.ts";

/** Values that both the command line and the daemon's flags take. Every failure is "invalid", in docker's words. */

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** Bytes: `512m`, `1.5g`, `64MiB`. */
export function parseBytes(given: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([bkmgtp]?)(?:i?b)?$/i.exec(given);
  const unit = sizeUnits[match?.[2]?.toLowerCase() ?? "?"];
  if (!match || unit === undefined) throw new EngineError("invalid", `invalid size: '${given}'`);
  return Math.floor(Number(match[1]) * unit);
}

export interface UlimitValue {
  readonly Name: string;
  readonly Soft: number;
  readonly Hard: number;
}

/** getrlimit(2), as docker names them. */
const ulimits = new Set(
  "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(" "),
);

/** `NAME=SOFT[:HARD]`; -1 is no limit. */
export function parseUlimit(given: string): UlimitValue {
  const [, name, limits = ""] = /^([^=]*)=(.*)$/s.exec(given) ?? [];
  if (name === undefined) throw new EngineError("invalid", `invalid ulimit argument: ${given}`);
  if (!ulimits.has(name)) throw new EngineError("invalid", `invalid ulimit type: ${name}`);
  const [soft = "", hard = soft, more] = limits.split(":");
  if (more !== undefined)
    throw new EngineError(
      "invalid",
      `too many limit value arguments - ${limits}, can only have up to two, \`soft[:hard]\``,
    );
  const bad = [soft, hard].find((one) => !/^[+-]?\d+$/.test(one));
  if (bad !== undefined)
    throw new EngineError("invalid", `strconv.ParseInt: parsing ${JSON.stringify(bad)}: invalid syntax`);
  const limit = { Name: name, Soft: Number(soft), Hard: Number(hard) };
  if (limit.Hard >= 0 && (limit.Soft > limit.Hard || limit.Soft < 0)) {
    const what = "ulimit soft limit must be less than or equal to hard limit";
    throw new EngineError("invalid", `${what}: ${soft} > ${hard}`);
  }
  return limit;
}

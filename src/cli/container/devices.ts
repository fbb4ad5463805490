import { parseBytes } from "../../flags/mod.ts";
import type { DeviceMapping, RestartPolicy, ThrottleDevice } from "../../wire/mod.ts";
import { invalid, splitOnce } from "./values.ts";

/** Values of the flags about resources that have a shape of their own. */

export function parseDevice(given: string): DeviceMapping {
  const [path = "", second, third, more] = given.split(":");
  const permissions = (text: string | undefined) => text !== undefined && /^[rwm]{1,3}$/.test(text);
  if (more !== undefined) throw invalid(`bad format for path: ${given}`);
  if (third !== undefined && !permissions(third)) throw invalid(`bad mode specified: ${third}`);
  const onlyPermissions = third === undefined && permissions(second);
  const inside = second && !onlyPermissions ? second : path;
  for (const one of [path, inside]) if (!one.startsWith("/")) throw invalid(`${one} is not an absolute path`);
  return {
    PathOnHost: path,
    PathInContainer: inside,
    CgroupPermissions: (onlyPermissions ? second : third) || "rwm",
  };
}

/** `/dev/sda:1mb`. */
export function parseByteRate(given: string): ThrottleDevice {
  return throttle(given, {
    rateOf: parseBytes,
    format: `<number>[<unit>]. ${positive}. Unit is optional and can be kb, mb, or gb`,
  });
}

/** `/dev/sda:1000`. */
export function parseOperationRate(given: string): ThrottleDevice {
  const rateOf = (text: string) => (/^\d+$/.test(text) ? Number(text) : Number.NaN);
  return throttle(given, { rateOf, format: `<number>. ${positive}` });
}

const positive = "Number must be a positive integer";

function throttle(
  given: string,
  { rateOf, format }: { rateOf: (text: string) => number; format: string },
): ThrottleDevice {
  const { path, text } = devicePath(given);
  const Rate = attempt(() => rateOf(text)) ?? Number.NaN;
  if (!Number.isSafeInteger(Rate))
    throw invalid(`invalid rate for device: ${given}. The correct format is <device-path>:${format}`);
  return { Path: path, Rate };
}

export function parseDeviceWeight(given: string): { readonly Path: string; readonly Weight: number } {
  const { path, text } = devicePath(given);
  const Weight = Number(text);
  if (!/^\d+$/.test(text) || (Weight > 0 && (Weight < 10 || Weight > 1000)))
    throw invalid(`invalid weight for device: ${given}`);
  return { Path: path, Weight };
}

/** A 16-bit number; the engine knows which weights there are. */
export function parseWeight(given: string): number {
  const why = !/^\+?\d+$/.test(given) ? "invalid syntax" : Number(given) > 0xffff ? "value out of range" : undefined;
  if (why === undefined) return Number(given);
  throw invalid(`strconv.ParseUint: parsing ${JSON.stringify(given)}: ${why}`);
}

function devicePath(given: string): { readonly path: string; readonly text: string } {
  const [path, text] = splitOnce(given, ":");
  if (text === undefined) throw invalid(`bad format: ${given}`);
  if (!path.startsWith("/dev/")) throw invalid(`bad format for device path: ${given}`);
  return { path, text };
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

/** `no`, `always`, `unless-stopped`, `on-failure[:N]`; the engine says which names there are. */
export function parseRestart(given: string): RestartPolicy {
  const [name, count] = splitOnce(given, ":");
  if (name === "" && count !== undefined)
    throw invalid("invalid restart policy format: no policy provided before colon");
  if (count !== undefined && !/^\d+$/.test(count))
    throw invalid("invalid restart policy format: maximum retry count must be an integer");
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

import type { DeviceMapping, RestartPolicy, ThrottleDevice, Ulimit } from "../../wire/mod.ts";
import { invalid, parseBytes, splitOnce } from "./values.ts";

/** Values of the flags about resources that have a shape of their own. */

export function parseUlimit(given: string): Ulimit {
  const [name, limits] = splitOnce(given, "=");
  if (limits === undefined) throw invalid(`invalid ulimit argument: ${given}`);
  const [soft, hard = soft] = splitOnce(limits, ":");
  if (!/^-?\d+$/.test(soft) || !/^-?\d+$/.test(hard)) throw invalid(`invalid ulimit argument: ${given}`);
  const limit = { Name: name, Soft: Number(soft), Hard: Number(hard) };
  if (limit.Hard >= 0 && (limit.Soft > limit.Hard || limit.Soft < 0))
    throw invalid(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
  return limit;
}

export function parseDevice(given: string): DeviceMapping {
  const [path = "", second, third, more] = given.split(":");
  const permissions = (text: string | undefined) => text !== undefined && /^[rwm]{1,3}$/.test(text);
  if (path === "" || more !== undefined) throw invalid(`invalid device specification: ${given}`);
  if (third !== undefined && !permissions(third)) throw invalid(`invalid device mode: ${third}`);
  const onlyPermissions = third === undefined && permissions(second);
  return {
    PathOnHost: path,
    PathInContainer: second && !onlyPermissions ? second : path,
    CgroupPermissions: (onlyPermissions ? second : third) || "rwm",
  };
}

/** `/dev/sda:1mb`. */
export function parseByteRate(given: string): ThrottleDevice {
  return throttle(given, parseBytes);
}

/** `/dev/sda:1000`. */
export function parseOperationRate(given: string): ThrottleDevice {
  return throttle(given, (text) => (/^\d+$/.test(text) ? Number(text) : Number.NaN));
}

function throttle(given: string, rateOf: (text: string) => number): ThrottleDevice {
  const { path, text } = devicePath(given);
  const Rate = attempt(() => rateOf(text)) ?? Number.NaN;
  if (!Number.isSafeInteger(Rate))
    throw invalid(`invalid rate for device: ${given}. The correct format is <device-path>:<number>[<unit>]`);
  return { Path: path, Rate };
}

export function parseDeviceWeight(given: string): { readonly Path: string; readonly Weight: number } {
  const { path, text } = devicePath(given);
  const Weight = Number(text);
  if (!/^\d+$/.test(text) || (Weight > 0 && (Weight < 10 || Weight > 1000)))
    throw invalid(`invalid weight for device: ${given}`);
  return { Path: path, Weight };
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

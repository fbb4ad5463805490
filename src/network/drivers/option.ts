import { EngineError } from "../../errors/mod.ts";

export type Options = Readonly<Record<string, string>>;

/** A driver's options, read by name. What is not among `known` is refused, since nothing would come of it. */
export function refuseUnknown(options: Options, known: readonly string[], driver: string): void {
  const unknown = Object.keys(options).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new EngineError("not-implemented", `option ${unknown} of a ${driver} network is not implemented`);
}

/** As Go's strconv.ParseBool. */
export function parseFlag(text: string): boolean | undefined {
  if (/^(1|t|true)$/i.test(text)) return true;
  return /^(0|f|false)$/i.test(text) ? false : undefined;
}

/** Throws "invalid", in Docker's words. */
export function flagOption(options: Options, key: string, initial: boolean): boolean {
  const text = options[key];
  if (text === undefined) return initial;
  const value = parseFlag(text);
  if (value === undefined) throw unreadable(key, text, "invalid syntax");
  return value;
}

/** 68 is the least that IPv4 allows (RFC 791), 65535 the most of a veth. */
export function mtuOption(options: Options): number | undefined {
  const text = options[commonOptions.mtu];
  if (text === undefined) return undefined;
  const mtu = Number(text);
  if (!/^-?\d+$/.test(text)) throw unreadable(commonOptions.mtu, text, "invalid syntax");
  if (mtu < 68 || mtu > 65535) throw new EngineError("invalid", `invalid MTU number: ${text}`);
  return mtu;
}

/** A number comes behind it, and all of it has at most 15 bytes. */
export function prefixOption(options: Options): string | undefined {
  const prefix = options[commonOptions.prefix];
  if (prefix === undefined || /^[a-zA-Z][\w.-]{0,10}$/.test(prefix)) return prefix;
  throw unreadable(commonOptions.prefix, prefix, "not the beginning of an interface's name");
}

export function unreadable(key: string, text: string, why: string): EngineError {
  return new EngineError("invalid", `failed to parse ${key} value: ${text} (${why})`);
}

/** What every driver has. The kinds of addresses are settled before a driver sees the options. */
export const commonOptions = {
  mtu: "com.docker.network.driver.mtu",
  prefix: "com.docker.network.container_iface_prefix",
  four: "com.docker.network.enable_ipv4",
  six: "com.docker.network.enable_ipv6",
} as const;

import { isIPv4 } from "node:net";
import { EngineError } from "../../errors/mod.ts";
import { limitOf, parseLimit } from "../sized/size.ts";

export type DriverOptions = Readonly<Record<string, string>>;

/** Each option that Docker's local driver has, with those that it cannot be without (moby, volume/local). */
const needs: Readonly<Record<string, readonly string[]>> = {
  device: ["type"],
  type: ["device"],
  o: ["device", "type"],
  size: [],
};

/** Throws "invalid" in Docker's words, naming the option. */
export function checkOptions(volume: string, options: DriverOptions): void {
  const refuse = (why: string) => new EngineError("invalid", `create ${volume}: ${why}`);
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(needs, name)) throw refuse(`invalid option: ${JSON.stringify(name)}`);
  }
  checkSize(volume, options);
  for (const [name, others] of Object.entries(needs)) {
    const missing = name in options ? others.find((other) => !(other in options)) : undefined;
    if (missing !== undefined) throw refuse(`missing required option: ${JSON.stringify(missing)}`);
  }
  if (Object.values(options).some((value) => value.includes("\0"))) throw refuse("an option has a NUL byte");
  if (options["type"] === "cifs" && /^[^/]*\/\/[^/]*:\d/.test(options["device"] ?? "")) {
    throw refuse("port not allowed in CIFS device URL, include 'port' in 'o='");
  }
}

/** What somebody else has made has its own limits: those of a tmpfs are its options'. */
function checkSize(volume: string, { size, type, device }: DriverOptions): void {
  if (size === undefined) return;
  const limit = parseLimit(`create ${volume}`, size);
  if (limit === 0 || (!type && !device)) return;
  const why =
    "quota size requested but no quota support: a volume with a type and a device has the size that these say";
  throw new EngineError("invalid", `create ${volume}: ${why}`);
}

/** True when the volume's files are not in its directory but on what is to be mounted there, which is not the engine's. */
export function isMounted(options: DriverOptions): boolean {
  return Boolean(options["type"]) || Boolean(options["device"]);
}

/** True when something is to be mounted before the volume can be used: what its options lead to, or a disk of the engine's. */
export function needsMount(options: DriverOptions): boolean {
  return isMounted(options) || limitOf(options) > 0;
}

/** What network file systems have to be told by number, for the kernel knows no names. */
export interface NamedHost {
  readonly host: string;
  /** Puts the address in the name's place. */
  with(address: string): DriverOptions;
}

/** The name in `o=addr=NAME`, or in a cifs device's `//NAME/share`; undefined where there is none or it is an address. */
export function hostToResolve(options: DriverOptions): NamedHost | undefined {
  const { type = "", device = "", o = "" } = options;
  if (type !== "nfs" && type !== "cifs") return undefined;
  const given = o.split(",").find((word) => word.startsWith("addr="));
  const named = given?.slice("addr=".length);
  if (named !== undefined && named !== "" && !isIPv4(named)) {
    return { host: named, with: (address) => ({ ...options, o: o.replace(`addr=${named}`, `addr=${address}`) }) };
  }
  const share = type === "cifs" ? /^\/\/([^/]+)(\/.*)?$/.exec(device) : null;
  const [, server = "", path = ""] = share ?? [];
  if (server === "" || isIPv4(server) || server.includes(":")) return undefined;
  return { host: server, with: (address) => ({ ...options, device: `//${address}${path}` }) };
}

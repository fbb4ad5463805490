import { existsSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";
import type { HostConfig } from "../../wire/mod.ts";
import { findJournal, type JournalAccess, refuseJournal } from "./journal-access.ts";
import { checkTag } from "./tag.ts";

export type LogConfig = HostConfig["LogConfig"];

/** What stays of a log: `files` segments, with the current one, each of about `maxSize` bytes (Infinity: never rotated). */
export interface Rotation {
  readonly maxSize: number;
  readonly files: number;
  readonly compress: boolean;
  /** Bytes on disk that closed segments may take, packed as they are; without, only their number and plain size count. */
  readonly disk?: number;
}

const usual = { maxSize: 20_000_000, files: 5, compress: true } satisfies Rotation;
/** What nobody said anything about: five times 20 MB of disk, which packed is several times that of text. */
const unsaid: Rotation = { ...usual, files: 50, disk: usual.files * usual.maxSize };

type Driver = "json-file" | "local" | "journald" | "none";

const attributes = ["labels", "labels-regex", "env", "env-regex", "tag"];
const known: Readonly<Record<Driver, readonly string[]>> = {
  "json-file": ["max-size", "max-file", "compress", ...attributes],
  local: ["max-size", "max-file", "compress"],
  journald: attributes,
  none: [],
};
/** Those of the logger itself, whatever the driver. */
const modes = ["mode", "max-buffer-size"];

const drivers: readonly Driver[] = ["journald", "json-file", "local"];

/** Those that a container can have on this host; `none` is one, too, but Docker does not count it. */
export function logDriversOf({ socket, program }: JournalAccess = findJournal()): string[] {
  const journal = program !== undefined && existsSync(socket);
  return drivers.filter((name) => name !== "journald" || journal);
}

export interface LogSettings {
  readonly logDefaults?: LogConfig;
  readonly journal?: JournalAccess;
}

const builtIn: LogConfig = { Type: "json-file", Config: {} };

/** Throws as {@link settleLogConfig} does for what every container would be refused for. */
export function checkLogDefaults(settings: LogSettings): void {
  settleLogConfig({ Type: "", Config: {} }, settings);
}

/**
 * The configuration that a container gets: the daemon's own driver where it names none, and that driver's options where it
 * does not set them. Throws "invalid" in Docker's words for a driver or an option that is not known or has no sense,
 * "not-implemented" for one that cannot be done, by name.
 */
export function settleLogConfig(
  given: LogConfig,
  { logDefaults = builtIn, journal = findJournal() }: LogSettings,
): LogConfig {
  const Type = given.Type || logDefaults.Type;
  const Config = Type === logDefaults.Type ? { ...logDefaults.Config, ...given.Config } : given.Config;
  const driver = driverNamed(Type);
  checkMode(Config);
  checkKnown(driver, Config);
  rotationOf({ Type, Config });
  checkPatterns(Config);
  if (Config["tag"] !== undefined) checkTag(Config["tag"]);
  if (driver === "journald") refuseJournal(journal, Config);
  return { Type, Config };
}

function driverNamed(name: string): Driver {
  if (name === "none") return name;
  const found = drivers.find((one) => one === name);
  if (found) return found;
  throw invalid(`error looking up logging plugin ${name}: plugin ${JSON.stringify(name)} not found`);
}

/** What keeps a container that writes faster than its log would be between it and conmon, which has nothing like it. */
function checkMode(options: LogConfig["Config"]): void {
  const mode = options["mode"] ?? "";
  if (mode === "non-blocking") {
    throw new EngineError(
      "not-implemented",
      "log opt 'mode=non-blocking' is not implemented: a container waits while its output is written to its log",
    );
  }
  if (mode !== "" && mode !== "blocking") throw invalid(`logger: logging mode not supported: ${mode}`);
  if (options["max-buffer-size"] !== undefined) {
    throw invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'");
  }
}

function checkKnown(driver: Driver, options: LogConfig["Config"]): void {
  for (const key of Object.keys(options)) {
    if (known[driver].includes(key) || (modes.includes(key) && driver !== "none")) continue;
    if (driver === "none") throw invalid("invalid logging opts for driver none");
    const where = driver === "local" ? "log driver local" : `${driver} log driver`;
    throw invalid(`unknown log opt '${key}' for ${where}`);
  }
}

/**
 * How a log is kept. As in Docker a json-file log with `max-size` and without `max-file` is one file; otherwise the one that is
 * not said is 20 MB, or five files. Rotated files are packed unless there are none. Throws "invalid".
 */
export function rotationOf({ Type, Config }: LogConfig): Rotation {
  const size = Config["max-size"];
  if (size === undefined && Config["max-file"] === undefined && parseBool(Config["compress"] ?? "true")) return unsaid;
  const maxSize = size === undefined ? usual.maxSize : parseSize(size);
  const single = Type === "json-file" && size !== undefined;
  const files = parseFiles(Config["max-file"] ?? (single ? "1" : String(usual.files)));
  const given = Config["compress"];
  const compress = given === undefined ? files > 1 : parseBool(given);
  if (compress && files < 2) {
    throw failed("compress cannot be true when max-file is less than 2 or max-size is not set");
  }
  return { maxSize, files, compress };
}

const powers = "kmgtp";

/** As go-units' FromHumanSize: decimal multiples; -1 is Docker's word for no limit. */
function parseSize(text: string): number {
  if (text === "-1") return Number.POSITIVE_INFINITY;
  const [, number, unit = ""] = /^(\d+(?:\.\d+)*) ?([kmgtp])?(?:i?b)?$/i.exec(text) ?? [];
  const value = Number(number) * 1000 ** (powers.indexOf(unit.toLowerCase() || " ") + 1);
  if (number === undefined || Number.isNaN(value)) throw failed(`invalid size: '${text}'`);
  if (value < 1) throw failed("max-size must be a positive number");
  return Math.floor(value);
}

function parseFiles(text: string): number {
  if (!/^[+-]?\d{1,9}$/.test(text)) throw failed(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(text) < 1) throw failed("max-file cannot be less than 1");
  return Number(text);
}

function parseBool(text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw failed(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function checkPatterns(options: LogConfig["Config"]): void {
  for (const key of ["labels-regex", "env-regex"]) {
    try {
      new RegExp(options[key] ?? "");
    } catch {
      throw failed(`error parsing regexp: \`${options[key]}\` (${key})`);
    }
  }
}

function failed(why: string): EngineError {
  return invalid(`failed to initialize logging driver: ${why}`);
}

function invalid(message: string): EngineError {
  return new EngineError("invalid", message);
}

import { EngineError, messageOf } from "../errors/mod.ts";
import { parseBytes, text, type Values } from "../flags/mod.ts";
import type { ConfigValues } from "./container-defaults.ts";

export const builderFlags = {
  "build-cache-size": text(
    "Disk space that the build cache may take; what was used longest ago goes (default no limit)",
    {
      placeholder: "BYTES",
    },
  ),
};

/** Bytes, 0 for no limit: the flag, or dockerd's `{"gc": {"enabled": true, "defaultKeepStorage": "20GB"}}`. Throws "invalid". */
export function readCacheSize(values: Values<typeof builderFlags>, file: Pick<ConfigValues, "raw">): number {
  const given = values["build-cache-size"];
  if (given !== "") return bytesOf("build-cache-size", given);
  const builder = objectOf("builder", file.raw("builder"), ["gc"]);
  const gc = objectOf("builder.gc", builder["gc"], ["enabled", "defaultKeepStorage"]);
  const { enabled = true, defaultKeepStorage: kept = "0" } = gc;
  if (typeof enabled !== "boolean") throw new EngineError("invalid", "builder.gc.enabled must be true or false");
  if (typeof kept !== "string")
    throw new EngineError("invalid", "builder.gc.defaultKeepStorage must be a size, such as 20GB");
  return enabled ? bytesOf("builder.gc.defaultKeepStorage", kept) : 0;
}

function objectOf(name: string, raw: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (raw === undefined) return {};
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    throw new EngineError("invalid", `${name} must be an object`);
  const other = Object.keys(raw).find((key) => !keys.includes(key));
  if (other !== undefined) throw new EngineError("invalid", `${name}.${other} is not supported`);
  return raw as Readonly<Record<string, unknown>>;
}

function bytesOf(name: string, given: string): number {
  try {
    return parseBytes(given);
  } catch (err) {
    throw new EngineError("invalid", `${name}: ${messageOf(err)}`);
  }
}

import { EngineError } from "../errors/mod.ts";
import type { Pool } from "../network/mod.ts";

/** Flags over what the configuration file has, in dockerd's forms; the networks check what they say. Throws "invalid". */
export function readAddressPools(flags: readonly string[], inFile: unknown): readonly Pool[] | undefined {
  if (flags.length > 0) return flags.map(parseFlag);
  if (inFile === undefined) return undefined;
  if (Array.isArray(inFile) && inFile.every(isPool)) return inFile.map(({ base, size }) => ({ base, size }));
  throw new EngineError("invalid", `default-address-pools must be a list like [{"base": "10.0.0.0/8", "size": 24}]`);
}

function isPool(value: unknown): value is Pool {
  if (typeof value !== "object" || value === null) return false;
  const { base, size, ...rest } = value as Record<string, unknown>;
  return typeof base === "string" && typeof size === "number" && Object.keys(rest).length === 0;
}

function parseFlag(text: string): Pool {
  const fields = new Map(text.split(",").map((field) => field.split("=", 2) as [string, string | undefined]));
  const [base, size] = [fields.get("base"), fields.get("size")];
  if (fields.size === 2 && base && size !== undefined && /^\d+$/.test(size)) return { base, size: Number(size) };
  throw new EngineError(
    "invalid",
    `default-address-pool ${JSON.stringify(text)}: must be like base=10.0.0.0/8,size=24`,
  );
}

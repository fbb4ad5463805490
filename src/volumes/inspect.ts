import { EngineError } from "../errors/mod.ts";
import type { VolumeInspect } from "../wire/mod.ts";
import { limitOf } from "./sized/size.ts";
import type { VolumeRow } from "./table.ts";

export function inspectVolume(row: VolumeRow, mountpoint: string): VolumeInspect {
  const limit = limitOf(row.options);
  return {
    Name: row.name,
    Driver: row.driver,
    Mountpoint: mountpoint,
    CreatedAt: new Date(row.created).toISOString().replace(/\.\d+Z$/, "Z"),
    Labels: Object.keys(row.labels).length > 0 ? row.labels : null,
    Scope: "local",
    Options: Object.keys(row.options).length > 0 ? row.options : null,
    ...(limit > 0 && { Status: { Limit: limit, Backing: "ext4 in a sparse file" } }),
  };
}

/** Docker returns what is there whatever was asked for; options that would be ignored are refused. */
export function requireSame(existing: VolumeRow, asked: VolumeRow): VolumeRow {
  if (existing.state === "making") {
    throw new EngineError("conflict", `create ${asked.name}: conflict: a volume of that name is being made`);
  }
  const keys = Object.keys({ ...existing.options, ...asked.options });
  const other = keys.find((key) => existing.options[key] !== asked.options[key]);
  if (Object.keys(asked.options).length === 0 || other === undefined) return existing;
  const there = `it exists with ${other}=${existing.options[other] ?? ""}, not ${asked.options[other] ?? ""}`;
  throw new EngineError("conflict", `create ${asked.name}: conflict: volume name must be unique: ${there}`);
}

import { EngineError } from "../../errors/mod.ts";
import type { VolumeCreateBody } from "../../wire/mod.ts";
import { volumeRow } from "../request.ts";
import { limitOf } from "../sized/size.ts";
import type { VolumeRow } from "../table.ts";

/** A clone has the limit of its source unless another is asked for, and none of its other driver options. */
export function cloneRow(source: VolumeRow, request: VolumeCreateBody): VolumeRow {
  const other = Object.keys(request.DriverOpts).find((name) => name !== "size");
  if (other !== undefined) {
    const why = `a clone is a volume of the engine's own and can only have the option "size", not ${JSON.stringify(other)}`;
    throw new EngineError("invalid", `clone ${source.name}: ${why}`);
  }
  const { size } = source.options;
  const inherited = size !== undefined && limitOf(source.options) > 0 ? { size } : {};
  return volumeRow({ ...request, DriverOpts: { ...inherited, ...request.DriverOpts } });
}

import type { MountPoint } from "../wire/mod.ts";
import type { Row } from "./table.ts";

/** `Mounts` of `inspect` and of the list. */
export function mountPoints(row: Row): MountPoint[] {
  return row.mounts.map(({ type, name, source, destination, mode, rw, propagation }) => ({
    Type: type,
    ...(type === "volume" && { Name: name ?? "", Driver: row.hostConfig.VolumeDriver || "local" }),
    Source: source,
    Destination: destination,
    Mode: mode,
    RW: rw,
    Propagation: propagation === "rprivate" && type === "volume" ? "" : propagation,
  }));
}

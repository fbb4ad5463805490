import type { MountPoint } from "../wire/mod.ts";
import { cleanDestination } from "./mount-plan.ts";
import type { Row } from "./table.ts";

/** `Mounts` of `inspect` and of the list; what `--tmpfs` asked for is told by `HostConfig.Tmpfs` alone, as with dockerd. */
export function mountPoints(row: Row): MountPoint[] {
  const plain = new Set(Object.keys(row.hostConfig.Tmpfs ?? {}).map(cleanDestination));
  const told = row.mounts.filter(({ type, destination }) => type !== "tmpfs" || !plain.has(destination));
  return told.map(({ type, name, source, destination, mode, rw, propagation }) => ({
    Type: type,
    ...(type === "image" && { Name: name ?? "" }),
    ...(type === "volume" && { Name: name ?? "", Driver: row.hostConfig.VolumeDriver || "local" }),
    Source: source,
    Destination: destination,
    Mode: mode,
    RW: rw,
    Propagation: propagation === "rprivate" && type === "volume" ? "" : propagation,
  }));
}

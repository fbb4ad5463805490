import type { Context } from "./context.ts";
import type { Row } from "./table.ts";

/** Says that the volumes of a container are in use by its process, or are no longer. All are of the one driver that there is. */
export function tellVolumes(ctx: Context, row: Row, action: "mount" | "unmount"): void {
  for (const { type, name, destination, propagation, rw } of row.mounts) {
    if (type !== "volume" || name === undefined) continue;
    const how = action === "mount" ? { destination, propagation, "read/write": String(rw) } : {};
    const attributes = { container: row.id, driver: "local", ...how };
    ctx.events.publish({ type: "volume", action, id: name, attributes });
  }
}

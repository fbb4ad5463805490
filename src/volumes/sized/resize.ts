import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { diskSpace, limitDisk } from "../../host/mod.ts";
import type { VolumeParts } from "../parts.ts";
import { requireVolume, setOptions, type VolumeRow } from "../table.ts";
import { diskPaths } from "./disk.ts";
import { limitOf, parseLimit } from "./size.ts";

/** Uses a volume's mount while its limit is changed; no container has such an id. */
const resizer = "resize";

/**
 * Another limit, which holds at once, also for those who use the volume. The row comes first: `mount` and a restart put its
 * limit in force. The caller holds the volume's lock. Throws "invalid" (no size, no limit to change, no room), "conflict"
 * (more is in use), "not-found".
 */
export async function resizeLocked(parts: VolumeParts, name: string, size: string): Promise<void> {
  const row = parts.db.read((q) => requireVolume(q, name));
  const refuse = (why: string) => new EngineError("invalid", `resize ${name}: ${why}`);
  const limit = parseLimit(`resize ${name}`, size);
  if (limitOf(row.options) === 0) throw refuse("volume has no size limit to change: it was created without a size");
  if (limit === 0) throw refuse(`invalid size: '${size}': a limit cannot be taken away`);
  await parts.mounts.use(row, resizer);
  try {
    await requireRoom(parts, row, limit);
    await change(parts, row, { size, limit });
  } finally {
    await parts.mounts.leave(name, resizer);
  }
}

async function change(parts: VolumeParts, row: VolumeRow, { size, limit }: { size: string; limit: number }) {
  const { name, options } = row;
  parts.db.write((tx) => setOptions(tx, name, { ...options, size }));
  try {
    await limitTo(parts, name, limit);
  } catch (err) {
    parts.db.write((tx) => setOptions(tx, name, options));
    throw err;
  }
}

async function requireRoom(parts: VolumeParts, { name }: VolumeRow, limit: number): Promise<void> {
  const { room, used } = await diskSpace(dataOf(parts, name));
  if (limit > room) {
    const advice = `clone it into a larger one: berth volume clone --size SIZE ${name} NEW`;
    throw new EngineError("invalid", `resize ${name}: it was made to grow to ${room} bytes at most; ${advice}`);
  }
  if (limit >= used) return;
  throw new EngineError("conflict", `resize ${name}: ${used} bytes are in use, more than ${limit}`);
}

/**
 * After a restart: a crash may have come between the row and the kernel. What has no such limit is something that somebody else
 * has mounted there, and no reason not to start.
 */
export async function restoreLimit(parts: VolumeParts, { name, options }: VolumeRow): Promise<void> {
  const limit = limitOf(options);
  if (limit > 0) await limitTo(parts, name, limit).catch(() => undefined);
}

async function limitTo(parts: VolumeParts, name: string, limit: number): Promise<void> {
  const { disk: image, data: target } = diskPaths(join(parts.root, name));
  await parts.mounters.run(limitDisk, { image, target, limit }, { waits: true });
}

function dataOf(parts: VolumeParts, name: string): string {
  return diskPaths(join(parts.root, name)).data;
}

import { existsSync } from "node:fs";
import { chmod, open, rename, rm, rmdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { mountDisk, type Processes, unmountAside, type Workers } from "../../host/mod.ts";
import { blockSize, type DiskPlan, diskPlan, inodeSize } from "./size.ts";

/** What a volume with a limit keeps its files in: an ext4 file system, in a file with holes. */
export interface DiskPaths {
  readonly disk: string;
  readonly making: string;
  /** Where it is mounted. */
  readonly data: string;
}

export function diskPaths(home: string): DiskPaths {
  return { disk: join(home, "disk"), making: join(home, "disk.new"), data: join(home, "_data") };
}

export interface DiskMakers {
  readonly processes: Pick<Processes, "run">;
  readonly workers: Workers;
}

/**
 * Makes the disk in a volume's directory, unless it is there; it appears when it is complete and synced. Throws "unavailable"
 * naming the Debian package without mkfs.ext4, and on a host without loop devices.
 */
export async function makeDisk(home: string, limit: number, makers: DiskMakers): Promise<void> {
  const { disk, making, data } = diskPaths(home);
  if (existsSync(disk)) return;
  const unmount = () => makers.workers.run(unmountAside, { target: data }, { waits: true });
  await unmount(); // what a crash left
  await rm(making, { force: true });
  const { blocks, bsize } = await statfs(home);
  await format(making, diskPlan(limit, blocks * bsize), makers.processes);
  await makers.workers.run(mountDisk, { image: making, target: data, limit }, { waits: true });
  try {
    // Programs take a directory for empty only when nothing is in it; e2fsck makes another where it needs one.
    await rmdir(join(data, "lost+found"));
    await chmod(data, 0o755);
  } finally {
    await unmount();
  }
  await sync(making);
  await rename(making, disk);
}

async function format(path: string, plan: DiskPlan, processes: DiskMakers["processes"]): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.truncate(plan.bytes);
  } catch (err) {
    const what = `a volume of this size needs a file of ${plan.bytes} bytes, which the host's file system cannot have`;
    throw new EngineError("invalid", `${what}: ${messageOf(err)}`, { cause: err });
  } finally {
    await file.close();
  }
  const { code, stderr } = await processes.run([
    ...["mkfs.ext4", "-q", "-F", "-b", String(blockSize), "-I", String(inodeSize), "-N", String(plan.inodes)],
    // Nothing is kept for root, nor to make it larger; what is zero in a new file need not be written.
    ...["-m", "0", "-O", "^resize_inode", "-J", `size=${plan.journalMiB}`],
    ...["-E", "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1", "-e", "remount-ro", path],
  ]);
  if (code !== 0) throw new EngineError("internal", `Make a file system in ${path}: ${stderr.trim()}`);
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The bytes that a disk occupies on the host; 0 when it is not there. */
export async function diskUsage(home: string): Promise<number> {
  const found = await stat(diskPaths(home).disk).catch(() => undefined);
  return (found?.blocks ?? 0) * 512;
}

import { bindInside } from "./aside/bind-inside.ts";
import { limitDisk, mountDisk } from "./aside/disk.ts";
import { type MountRefusal, mountAside, unmountAside } from "./aside/mount.ts";
import type { AnyJob } from "./serve-jobs.ts";
import { copyTree } from "./tree/copy.ts";
import { removeTree } from "./tree/remove.ts";
import { usageOf } from "./tree/usage.ts";

/** For worker entries: what the host itself does off the main thread. */
export const hostJobs: readonly AnyJob[] = [
  ...[bindInside, copyTree, limitDisk, mountAside, mountDisk],
  ...[removeTree, unmountAside, usageOf],
];

export { bindInside, type MountRefusal, mountAside, removeTree, unmountAside };

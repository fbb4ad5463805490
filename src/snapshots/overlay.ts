import { existsSync } from "node:fs";
import { mkdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../errors/mod.ts";
import type { Mount, Mounts } from "../host/mod.ts";

/** statfs(2)'s f_type of overlayfs. */
const overlayMagic = 0x794c7630;

/**
 * What is switched off, because a layer must mean the same whatever this kernel's defaults are, and because it must be
 * packable by reading the upper directory alone: no renamed directories that point elsewhere, no files that are
 * metadata only, no index that ties the upper directory to one set of lower ones.
 * `nofollow` and not `off`: with `off`, a kernel that was so configured follows such pointers in a layer from elsewhere.
 */
const switches = { redirect_dir: "redirect_dir=nofollow", metacopy: "metacopy=off", index: "index=off" } as const;

/**
 * Tries overlayfs in `directory` and returns the options that this kernel knows (Linux 6.1 and 6.18 know all three; one
 * built without a feature refuses its option). Throws "unavailable" saying what to do where overlayfs cannot work.
 */
export async function probeOverlay(directory: string, mounts: Mounts): Promise<readonly string[]> {
  if (Number((await statfs(directory)).type) === overlayMagic) {
    throw unusable(directory, "it lies on overlayfs, which cannot be stacked on itself");
  }
  const probe = join(directory, "probe");
  try {
    await tryMount(probe, { mounts, options: [] });
    // Known only now: the module may have been loaded by the mount.
    const options = Object.entries(switches).flatMap(([name, option]) =>
      existsSync(`/sys/module/overlay/parameters/${name}`) ? [option] : [],
    );
    await tryMount(probe, { mounts, options });
    return options;
  } catch (err) {
    throw unusable(directory, messageOf(err));
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

/** Starts by clearing what an earlier try may have left that was killed. */
async function tryMount(probe: string, { mounts, options }: { mounts: Mounts; options: readonly string[] }) {
  const root = join(probe, "root");
  mounts.unmount(root, "detach");
  await rm(probe, { recursive: true, force: true });
  const [lower, upper, work] = [join(probe, "lower"), join(probe, "upper"), join(probe, "work")];
  for (const path of [lower, upper, work, root]) await mkdir(path, { recursive: true });
  mounts.mount(overlayMount({ lower: [lower], upper, work, options }), root);
  mounts.unmount(root, "detach");
}

function unusable(directory: string, why: string): EngineError {
  return new EngineError(
    "unavailable",
    `Layers cannot be kept in ${directory}: ${why}. Use a data root on a local file system such as ext4, xfs or btrfs`,
  );
}

export interface OverlayParts {
  /** Directories, the topmost first. */
  readonly lower: readonly string[];
  readonly upper?: string;
  readonly work?: string;
  readonly options: readonly string[];
}

export function overlayMount({ lower, upper, work, options }: OverlayParts): Mount {
  const directories = [`lowerdir=${lower.map(escaped).join(":")}`];
  if (upper !== undefined && work !== undefined) {
    directories.push(`upperdir=${escaped(upper)}`, `workdir=${escaped(work)}`);
  }
  return { type: "overlay", source: "overlay", options: [...directories, ...options] };
}

/** A comma ends an option and a colon a lower directory, unless a backslash precedes it. */
function escaped(path: string): string {
  return path.replace(/[\\,:]/g, "\\$&");
}

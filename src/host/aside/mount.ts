import { EngineError } from "../../errors/mod.ts";
import { errnoText } from "../errno.ts";
import type { Job } from "../host.ts";
import { cString, errno, libc } from "../libc.ts";
import { MS, parseMountOptions } from "../mount-options.ts";
import { rawMount } from "../mounts.ts";

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const errnos = { EINVAL: 22, ENOENT: 2 } as const;

export interface AsideMount {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  /** mount(8)'s, separated by commas: known words become flags, the rest is the file system's. */
  readonly options: string;
}

/** Which call the kernel refused, with what, and why in Docker's words. */
export interface MountRefusal {
  readonly step: "mount" | "remount";
  /** Of mount(2), without propagation. */
  readonly flags: number;
  readonly data: string;
  readonly why: string;
}

/**
 * mount(2) in a worker thread, for file systems whose server or device may keep the call waiting. What the kernel refuses
 * is an answer, not an error; nothing is mounted then. Propagation and a bind's attributes are second calls, as mount(2)
 * wants it.
 */
export const mountAside: Job<AsideMount, MountRefusal | undefined> = {
  name: "mountAside",
  run: ({ source, target, type, options }) => {
    const { flags, propagation, data } = parseMountOptions(options.split(","));
    const words = data.join(",");
    const code = rawMount([source, target, type, flags, words]);
    if (code !== 0) return { step: "mount", flags, data: words, why: errnoText(code) };
    const again = [...propagation, ...(bindAgain(flags) ? [flags | MS.REMOUNT] : [])];
    for (const next of again) {
      const refused = rawMount(["none", target, "none", next, ""]);
      if (refused === 0) continue;
      libc.umount2(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW);
      return { step: "remount", flags: next, data: "", why: errnoText(refused) };
    }
    return undefined;
  },
};

/** A new bind ignores attributes; they need a remount. */
function bindAgain(flags: number): boolean {
  return (flags & MS.BIND) !== 0 && (flags & ~(MS.BIND | MS.REC | MS.SILENT)) !== 0;
}

/** umount2(2) with MNT_DETACH in a worker thread. No error when nothing is mounted there. */
export const unmountAside: Job<{ readonly target: string }, void> = {
  name: "unmountAside",
  run: ({ target }) => {
    if (libc.umount2(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW) === 0) return;
    const code = errno();
    if (code === errnos.EINVAL || code === errnos.ENOENT) return;
    throw new EngineError("internal", `Unmount ${target}: ${errnoText(code)}`);
  },
};

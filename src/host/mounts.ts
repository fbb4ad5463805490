import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { EngineError } from "../errors/mod.ts";
import { errnoName } from "./errno.ts";
import { graft } from "./graft.ts";
import type { Mount, MountInfo, Mounts } from "./host.ts";
import { cString, errno, libc } from "./libc.ts";
import { bindMapped } from "./mapped-mount.ts";
import { AT_RECURSIVE, setMountAttributes } from "./mount-calls.ts";
import { bindAttributes, type MountWords, MS, parseMountOptions } from "./mount-options.ts";
import { compactOverlay } from "./overlay-data.ts";

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const CLONE_FS = 0x200;
const O_PATH = 0x200000;
const O_CLOEXEC = 0x80000;
/** What the kernel copies of the options, with the NUL; it cuts off the rest without a word. */
const page = 4096;

const errnos = { EINVAL: 22, ENOENT: 2 } as const;

export function createMounts(): Mounts {
  return { mount, bindMapped, unmount, graft, list };
}

function mount(what: Mount, where: string): void {
  const target = resolve(where); // the working directory may change for the mount
  const words = parseMountOptions(what.options);
  const fail = (step: string, code: number) => mountError(what, { target, step, code });
  const typed = what.type !== "" && what.type !== "none";
  if (words.flags & MS.BIND) bind(what, { target, words, fail });
  else if (typed) fresh(what, { target, words, fail });
  else if (words.flags & MS.REMOUNT) call(["none", target, "none", words.flags, words.data.join(",")], fail);
  else if (words.propagation.length === 0) {
    throw new EngineError("invalid", `Mount on ${target} has neither a type nor bind, remount or a propagation`);
  }
  const made = !(words.flags & MS.REMOUNT) && (typed || (words.flags & MS.BIND) !== 0);
  for (const way of words.propagation) {
    const code = rawMount(["none", target, "none", way, ""]);
    if (code === 0) continue;
    if (made) libc.umount2(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW);
    throw fail("propagation", code);
  }
}

interface MountCall {
  readonly target: string;
  readonly words: MountWords;
  readonly fail: (step: string, code: number) => EngineError;
}

/** mount(2) ignores attributes on a new bind mount, so they are a second step; if that fails, the first is undone. */
function bind(what: Mount, { target, words, fail }: MountCall): void {
  const attributes = bindAttributes(words);
  const remount = (words.flags & MS.REMOUNT) !== 0;
  const recursive = (words.flags & MS.REC) !== 0;
  if (!remount) call([what.source, target, "none", MS.BIND | (recursive ? MS.REC : 0), ""], fail);
  if (attributes.set === 0 && attributes.clear === 0) return;
  const flags = recursive ? AT_RECURSIVE : 0;
  if (setMountAttributes(target, { words: [attributes.set, attributes.clear], flags }) === 0) return;
  const code = errno();
  if (!remount) libc.umount2(cString(target), MNT_DETACH | UMOUNT_NOFOLLOW);
  throw fail("mount_setattr", code);
}

function fresh(what: Mount, { target, words, fail }: MountCall): void {
  const data = words.data.join(",");
  if (Buffer.byteLength(data) < page) {
    call([what.source, target, what.type, words.flags, data], fail);
    return;
  }
  const compact = what.type === "overlay" ? compactOverlay(words.data) : undefined;
  if (!compact || Buffer.byteLength(compact.data) >= page) {
    throw new EngineError(
      "invalid",
      `Mount ${what.type} on ${target}: options of ${Buffer.byteLength(data)} bytes, the kernel takes ${page - 1}`,
    );
  }
  within(compact.base, () => call([what.source, target, what.type, words.flags, compact.data], fail));
}

/**
 * Runs a synchronous body with another working directory. The working directory belongs to all threads that share it,
 * so this thread first gets one of its own (nothing happens if it has): no other thread ever sees the change.
 */
function within(directory: string, body: () => void): void {
  if (libc.unshare(CLONE_FS) !== 0) throw new EngineError("internal", `unshare(CLONE_FS): ${errnoName(errno())}`);
  const before = openSync(".", O_PATH | O_CLOEXEC);
  try {
    const there = openSync(directory, O_PATH | O_CLOEXEC | constants.O_DIRECTORY);
    const code = libc.fchdir(there) === 0 ? 0 : errno();
    closeSync(there);
    if (code !== 0) throw new EngineError("internal", `fchdir ${directory}: ${errnoName(code)}`);
    body();
  } finally {
    libc.fchdir(before);
    closeSync(before);
  }
}

export type MountArguments = readonly [source: string, target: string, type: string, flags: number, data: string];

function call(args: MountArguments, fail: MountCall["fail"]): void {
  const code = rawMount(args);
  if (code !== 0) throw fail("mount", code);
}

/** mount(2) as it is: 0 or errno. */
export function rawMount([source, target, type, flags, data]: MountArguments): number {
  const dataBytes = cString(data);
  return libc.mount(cString(source), cString(target), cString(type), flags, dataBytes) === 0 ? 0 : errno();
}

function mountError(what: Mount, at: { target: string; step: string; code: number }): EngineError {
  const options = what.options.join(",");
  const shown = options.length > 300 ? `${options.slice(0, 300)}…` : options;
  const step = at.step === "mount" ? "" : ` (${at.step})`;
  const text = `Mount ${what.source} on ${at.target}, type ${what.type}, options ${shown}${step}: ${errnoName(at.code)}`;
  return new EngineError("internal", text);
}

function unmount(target: string, mode?: "detach"): void {
  if (libc.umount2(cString(target), UMOUNT_NOFOLLOW | (mode === "detach" ? MNT_DETACH : 0)) === 0) return;
  const code = errno();
  // EINVAL is "not a mount point", and what does not exist is not one either.
  if (code === errnos.EINVAL || code === errnos.ENOENT) return;
  throw new EngineError("internal", `Unmount ${target}: ${errnoName(code)}`);
}

function list(): MountInfo[] {
  return parseMountInfo(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** proc_pid_mountinfo(5): optional fields end with a lone "-"; blanks and backslashes are octal. */
export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const end = fields.indexOf("-", 6);
      const [type = "", source = ""] = fields.slice(end + 1).map(unescaped);
      return { target: unescaped(fields[4] ?? ""), type, source, peers: fields.slice(6, end) };
    });
}

function unescaped(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

import type { TarType } from "../stream/mod.ts";

/** Bits of Go's os.FileMode (pkg.go.dev/os, "FileMode"), which is not the kernel's. */
const bits = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  character: 2 ** 21,
  sticky: 2 ** 20,
} as const;

/** undefined for what no archive holds: sockets and the like. */
export function fileType(mode: number): TarType | undefined {
  const is = (bit: number) => (mode & bit) !== 0;
  if (is(bits.directory)) return "directory";
  if (is(bits.symlink)) return "symlink";
  if (is(bits.device)) return is(bits.character) ? "character" : "block";
  if (is(bits.fifo)) return "fifo";
  return is(bits.socket) ? undefined : "file";
}

const special = [
  [bits.setuid, 0o4000],
  [bits.setgid, 0o2000],
  [bits.sticky, 0o1000],
] as const;

/** Permission bits with setuid, setgid and sticky, as chmod(2) takes them. */
export function permissions(mode: number): number {
  return special.reduce((all, [bit, own]) => ((mode & bit) === 0 ? all : all | own), mode & 0o777);
}

/** The same the other way. */
export function goMode(type: TarType, mode: number): number {
  const kinds: Readonly<Record<TarType, number>> = {
    file: 0,
    hardlink: 0,
    directory: bits.directory,
    symlink: bits.symlink,
    fifo: bits.fifo,
    block: bits.device,
    character: bits.device + bits.character,
  };
  return special.reduce((all, [bit, own]) => ((mode & own) === 0 ? all : all + bit), kinds[type] + (mode & 0o777));
}

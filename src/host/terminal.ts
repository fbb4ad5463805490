import { dlopen, FFIType } from "bun:ffi";
import { systemError } from "./errno.ts";
import { errno } from "./libc.ts";

/** Larger than glibc's struct termios on every architecture (60 bytes). */
const termiosSize = 128;
const TCSADRAIN = 1;

/**
 * Puts a terminal into raw mode, as cfmakeraw(3) has it, until disposed. Bun's own `setRawMode` leaves the translation of
 * newlines on (libuv's UV_TTY_MODE_RAW), which doubles the carriage returns of a program that has a terminal of its own.
 * Throws "internal" when the descriptor is not a terminal.
 */
export function rawTerminal(fd: number): Disposable {
  const { symbols: tty } = dlopen("libc.so.6", {
    tcgetattr: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
    tcsetattr: { args: [FFIType.i32, FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
    cfmakeraw: { args: [FFIType.ptr], returns: FFIType.void },
  });
  const before = new Uint8Array(termiosSize);
  if (tty.tcgetattr(fd, before) !== 0) throw systemError(`Read the settings of terminal ${fd}`, errno());
  const raw = before.slice();
  tty.cfmakeraw(raw);
  if (tty.tcsetattr(fd, TCSADRAIN, raw) !== 0) throw systemError(`Change the settings of terminal ${fd}`, errno());
  return { [Symbol.dispose]: () => void tty.tcsetattr(fd, TCSADRAIN, before) };
}

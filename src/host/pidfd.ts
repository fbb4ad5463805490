import { closeSync } from "node:fs";
import { EngineError } from "../errors/mod.ts";
import { address, errno, libc } from "./libc.ts";

/** The same number on x86-64 and arm64. */
const SYS_PIDFD_OPEN = 434n;
const SYS_PPOLL = process.arch === "arm64" ? 73n : 271n;
const ESRCH = 3;
const POLLIN = 1;
const interval = 100;

interface Watch {
  readonly fd: number;
  readonly done: () => void;
}

/**
 * All processes that somebody waits for. Bun's event loop takes no pidfd (its streams and sockets read or connect what
 * they are given), a thread blocked in poll(2) would cost a whole JavaScript heap, so one ppoll(2) with a zero timeout
 * looks at all of them ten times a second: 2 microseconds a look, and none at all while nobody waits. Who needs
 * to know at once holds a pipe or a socket of the process; this is for those that cannot.
 */
const watches = new Set<Watch>();
let timer: NodeJS.Timeout | undefined;

/** Resolves within about 100 ms of the end of the process (its becoming a zombie); rejects with the signal's reason when aborted. */
export async function pidfdEnded(pid: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const fd = Number(libc.syscall(SYS_PIDFD_OPEN, BigInt(pid), 0n, 0n, 0n, 0n, 0n));
  if (fd < 0) {
    const code = errno();
    if (code === ESRCH) return;
    throw new EngineError("internal", `Watch process ${pid}: pidfd_open failed with errno ${code}`);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const watch: Watch = { fd, done: resolve };
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  watches.add(watch);
  timer ??= setInterval(look, interval);
  look();
  try {
    await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
    forget(watch);
  }
}

function forget(watch: Watch): void {
  watches.delete(watch);
  closeSync(watch.fd);
  if (watches.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

/** struct pollfd { int fd; short events; short revents; } for each. */
function look(): void {
  const all = [...watches];
  const fds = new DataView(new ArrayBuffer(8 * all.length));
  for (const [at, watch] of all.entries()) {
    fds.setInt32(at * 8, watch.fd, true);
    fds.setInt16(at * 8 + 4, POLLIN, true);
  }
  const now = new Uint8Array(16);
  const polled = new Uint8Array(fds.buffer);
  const ready = Number(libc.syscall(SYS_PPOLL, address(polled), BigInt(all.length), address(now), 0n, 0n, 0n));
  if (ready <= 0) return;
  for (const [at, watch] of all.entries()) if (fds.getInt16(at * 8 + 6, true) !== 0) watch.done();
}

import type { Readable } from "node:stream";
import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { pipeReader } from "./fd-stream.ts";
import type { Pty } from "./host.ts";
import { address, errno, libc } from "./libc.ts";

const [SYS_IOCTL, SYS_FCNTL] = process.arch === "arm64" ? ([29n, 25n] as const) : ([16n, 72n] as const);
const TIOCSWINSZ = 0x5414n;
const F_SETFL = 4n;
const POLLIN = 1;
const O_NONBLOCK = 0o4000n;
const EAGAIN = 11;
/** Between two looks whether a terminal takes input again, in milliseconds: nobody types faster, and a paste can wait. */
const patience = 5;

/** The master's end of a terminal; takes over its descriptor. */
export function createPty(fd: number): Pty {
  libc.syscall(SYS_FCNTL, BigInt(fd), F_SETFL, O_NONBLOCK, 0n, 0n, 0n);
  return new Master(fd);
}

class Master implements Pty {
  readonly #fd: number;
  readonly output: Readable;
  #tail: Promise<void> = Promise.resolve();

  constructor(fd: number) {
    this.#fd = fd;
    this.output = pipeReader(fd);
  }

  write(bytes: Uint8Array): Promise<void> {
    const done = this.#tail.then(() => this.#write(bytes));
    this.#tail = done.catch(() => undefined);
    return done;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.output.destroyed) throw new EngineError("unavailable", "Write to a terminal that is closed");
      const taken = Number(libc.write(this.#fd, rest, BigInt(rest.length)));
      if (taken >= 0) rest = rest.subarray(taken);
      else if (errno() === EAGAIN) await after(patience);
      else throw new EngineError("unavailable", `Write to a terminal: errno ${errno()}`);
    }
  }

  /** struct winsize (ioctl_tty(2)). */
  resize({ rows, columns }: { readonly rows: number; readonly columns: number }): void {
    if (this.output.destroyed) return;
    const size = new Uint8Array(new Uint16Array([rows, columns, 0, 0]).buffer);
    libc.syscall(SYS_IOCTL, BigInt(this.#fd), TIOCSWINSZ, address(size), 0n, 0n, 0n);
  }

  /** poll(2): for a terminal it waits for what is on its way through the kernel (n_tty_poll), as FIONREAD does not. */
  hasOutput(): boolean {
    if (this.output.destroyed) return false;
    const look = new DataView(new ArrayBuffer(8)); // struct pollfd
    look.setInt32(0, this.#fd, true);
    look.setInt16(4, POLLIN, true);
    return libc.poll(new Uint8Array(look.buffer), 1n, 0) > 0 && (look.getInt16(6, true) & POLLIN) !== 0;
  }

  [Symbol.dispose](): void {
    this.output.destroy();
  }
}

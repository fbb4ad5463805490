import type { CliIo } from "../../io.ts";
import { tell } from "../../io.ts";
import { decimalSize } from "../../output/units.ts";

export interface Copied {
  /** The same bytes, counted. */
  count(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** Says, unless told to be quiet, what was copied where to. */
  done(where: string): Promise<void>;
  /** Takes away what is shown while it copies. */
  stop(): void;
}

/** How long a copy lasts before it is worth watching, and how often then, in milliseconds. */
const interval = 250;
const eraseLine = "\r\x1b[2K";

/** Counts what is copied. A terminal shows it, unless told to be quiet. */
export function copied(io: CliIo, { header, quiet }: { readonly header: string; readonly quiet: boolean }): Copied {
  let size = 0;
  let shown = false;
  const show = () => {
    shown = true;
    void tell(io, `${eraseLine}${header}${decimalSize(size)}`);
  };
  const timer = quiet || !io.stderr.isTTY ? undefined : setInterval(show, interval);
  const stop = () => {
    clearInterval(timer);
    if (shown) void tell(io, eraseLine);
    shown = false;
  };
  return {
    async *count(bytes) {
      for await (const piece of bytes) {
        size += piece.length;
        yield piece;
      }
    },
    done: async (where) => {
      stop();
      if (!quiet) await tell(io, `Successfully copied ${decimalSize(size)} to ${where}\n`);
    },
    stop,
  };
}

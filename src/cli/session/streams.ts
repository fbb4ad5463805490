import type { HijackedStream } from "../../client/mod.ts";
import { EngineError, messageOf } from "../../errors/mod.ts";
import type { DetachFilter } from "../../stream/mod.ts";
import type { CliIo } from "../io.ts";
import { detachWatch } from "./detach.ts";

export interface StreamOptions {
  readonly io: CliIo;
  /** Copy the terminal's or pipe's input to the process. */
  readonly stdin: boolean;
  /** The process has a terminal: bytes are raw, and ours goes into raw mode. */
  readonly tty: boolean;
  /** Keys that end the session and leave the process alone; looked for in a terminal's input only. */
  readonly keys: string;
}

/** Connects this program's streams to a hijacked connection until the process's output ends or the user detaches. Restores the terminal. */
export async function runStreams(process: HijackedStream, options: StreamOptions): Promise<"ended" | "detached"> {
  const { io, tty, stdin } = options;
  const detached = Promise.withResolvers<"detached">();
  const watch = tty ? await detachWatch(options.keys) : undefined;
  const restore = tty && stdin ? await rawMode(io) : () => undefined;
  const detach = () => detached.resolve("detached");
  const stopInput = stdin ? copyInput(process, { io, watch, detach }) : process.end();
  const output = copyOutput(process.output, { io, tty }).then(() => "ended" as const);
  output.catch(() => undefined); // a user who has detached does not care
  try {
    return await Promise.race([output, detached.promise]);
  } finally {
    stopInput?.();
    restore();
    process.close();
  }
}

/** Keys reach the process as they are typed. Undone by the returned function, and by the end of this program whatever ends it. */
async function rawMode(io: CliIo): Promise<() => void> {
  if (!io.stdin.isTTY) return () => undefined;
  const raw = await io.rawInput();
  const cooked = () => raw[Symbol.dispose]();
  const forget = io.onExit(cooked);
  return () => {
    forget();
    cooked();
  };
}

interface Input {
  readonly io: CliIo;
  readonly watch: DetachFilter | undefined;
  detach(): void;
}

/**
 * One piece at a time: the next is read when the process's side has taken the last, and none when it takes no more. (A file
 * as input is read without a turn of the event loop in between, so that going on would keep the output from being seen.)
 */
function copyInput(process: HijackedStream, { io, watch, detach }: Input): () => void {
  const { stdin } = io;
  let sent = Promise.resolve(true);
  let stopped = false;
  const onData = (typed: Uint8Array) => {
    const { pass, detached } = watch?.feed(typed) ?? { pass: typed, detached: false };
    stdin.pause();
    sent = sent.then(() => process.write(pass));
    sent.then((taken) => (taken ? !stopped && stdin.resume() : stop()));
    if (detached) detach();
  };
  const onEnd = () => sent.then(() => process.end());
  const stop = () => {
    stopped = true;
    stdin.off("data", onData).off("end", onEnd);
    stdin.pause();
  };
  stdin.on("data", onData).on("end", onEnd);
  stdin.resume();
  return stop;
}

/** A terminal's bytes as they are; else Docker's frames, each to its own stream. */
export async function copyOutput(
  bytes: AsyncIterable<unknown>,
  { io, tty }: { readonly io: CliIo; readonly tty: boolean },
): Promise<void> {
  const source = telling(bytes as AsyncIterable<Uint8Array>);
  if (!tty) return splitOutput(source, io);
  for await (const chunk of source) await io.stdout.write(chunk);
}

async function splitOutput(source: AsyncIterable<Uint8Array>, io: CliIo): Promise<void> {
  const { readFrameRuns } = await import("../../stream/mod.ts"); // brings zlib along, which is 5 ms of a start
  for await (const { stream, bytes } of readFrameRuns(source))
    await (stream === "stderr" ? io.stderr : io.stdout).write(bytes);
}

async function* telling(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* bytes;
  } catch (err) {
    throw new EngineError("unavailable", `the connection to the daemon broke: ${messageOf(err)}`, { cause: err });
  }
}

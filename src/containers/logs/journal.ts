import { EngineError } from "../../errors/mod.ts";
import type { Child, Processes } from "../../host/mod.ts";
import type { Bytes } from "../../stream/mod.ts";
import type { LogOptions } from "../containers.ts";
import type { LogFormat, LogPiece } from "./format.ts";
import { newline } from "./record.ts";
import { timeText } from "./times.ts";

export interface JournalRequest {
  readonly processes: Pick<Processes, "run" | "spawn">;
  /** journalctl. */
  readonly program: string;
  /** The container's. */
  readonly id: string;
  readonly options: LogOptions;
  readonly format: LogFormat;
  /** Followed until it aborts. */
  readonly end?: AbortSignal;
}

/** What journalctl(1) writes with `--output=json`, as far as it is read here (systemd.journal-fields(7)). */
interface JournalEntry {
  readonly __CURSOR?: unknown;
  /** Microseconds since 1970. */
  readonly __REALTIME_TIMESTAMP?: unknown;
  /** An array of bytes for what is no text. */
  readonly MESSAGE?: unknown;
  /** conmon gives stderr 3. */
  readonly PRIORITY?: unknown;
  readonly CONTAINER_PARTIAL_MESSAGE?: unknown;
}

/** Entries come late: conmon has ended when the follower is told, and the journal may still have to take them in. */
export async function* readJournal(request: JournalRequest): Bytes {
  const { options, end, format } = request;
  const started = Date.now();
  if (options.tail === 0 && !end) return;
  const first = new JournalPass(request, [...chosen(options), ...(end ? ["--follow", "--no-tail"] : [])]);
  yield* first.bytes(end);
  if (!end || format.done || options.signal.aborted) return;
  await request.processes.run([request.program, "--sync"]);
  const since = `--since=@${Math.floor(started / 1000)}`;
  yield* new JournalPass(request, first.cursor === undefined ? [since] : [`--after-cursor=${first.cursor}`]).bytes();
}

/** Whole seconds: the format looks at the rest. */
function chosen({ tail, since }: LogOptions): string[] {
  const seconds = since / 1_000_000_000n;
  return [...(tail === undefined ? [] : [`--lines=${tail}`]), ...(since > 0n ? [`--since=@${seconds}`] : [])];
}

/** One run of journalctl. */
class JournalPass {
  readonly #request: JournalRequest;
  readonly #argv: readonly string[];
  #cursor: string | undefined;

  constructor(request: JournalRequest, args: readonly string[]) {
    this.#request = request;
    // Only root's entries: anybody may send the journal one with this container's id.
    const match = [`CONTAINER_ID_FULL=${request.id}`, "_UID=0"];
    const fixed = ["--output=json", "--all", "--no-pager", "--quiet"];
    this.#argv = [request.program, ...fixed, ...args, ...match];
  }

  /** Of the last entry that was read. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  async *bytes(end?: AbortSignal): Bytes {
    const { format, options } = this.#request;
    const child = this.#request.processes.spawn(this.#argv, { stdio: ["ignore", "pipe", "pipe"] });
    const said = lastWords(child);
    const stop = () => child.kill(15);
    for (const signal of [end, options.signal]) {
      if (signal?.aborted) stop();
      signal?.addEventListener("abort", stop, { once: true });
    }
    try {
      for await (const lines of linesOf(child)) {
        const bytes = format.pieces(lines.map((line) => this.#piece(line)).filter((piece) => piece !== undefined));
        if (bytes.length > 0) yield bytes;
        if (format.done) return;
      }
      const code = await child.exited;
      if (code === 0 || end?.aborted || options.signal.aborted) return;
      throw new EngineError("internal", `journalctl ended with code ${code}: ${said()}`);
    } finally {
      for (const signal of [end, options.signal]) signal?.removeEventListener("abort", stop);
      stop();
      await child.exited;
    }
  }

  #piece(line: string): LogPiece | undefined {
    const entry = JSON.parse(line) as JournalEntry;
    if (typeof entry.__CURSOR === "string") this.#cursor = entry.__CURSOR;
    return pieceOf(entry);
  }
}

/** Undefined for an entry without a time or a text. */
export function pieceOf(entry: JournalEntry): LogPiece | undefined {
  const time = String(entry.__REALTIME_TIMESTAMP);
  const text = bytesOf(entry.MESSAGE);
  if (!/^\d{1,18}$/.test(time) || !text) return undefined;
  return {
    time: timeText(BigInt(time) * 1000n),
    stream: entry.PRIORITY === "3" ? "stderr" : "stdout",
    partial: entry.CONTAINER_PARTIAL_MESSAGE === "true",
    text: text.at(-1) === newline ? text.subarray(0, -1) : text, // conmon 2.1 leaves it on
  };
}

function bytesOf(message: unknown): Uint8Array | undefined {
  if (typeof message === "string") return Buffer.from(message);
  return Array.isArray(message) && message.every((byte) => typeof byte === "number") ? Buffer.from(message) : undefined;
}

async function* linesOf(child: Child): AsyncGenerator<string[]> {
  const pipe: AsyncIterable<Uint8Array> | Uint8Array[] = child.pipes.get(1) ?? [];
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of pipe) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    if (lines.length > 0) yield lines.filter((line) => line !== "");
  }
}

function lastWords(child: Child): () => string {
  let said = "";
  child.pipes.get(2)?.on("data", (bytes) => {
    said = (said + String(bytes)).slice(-1000);
  });
  return () => said.trim();
}

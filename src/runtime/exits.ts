import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Queue } from "../async/mod.ts";
import type { Paths } from "./paths.ts";
import type { Exit } from "./runtime.ts";
import type { TaskRecord } from "./tasks.ts";

/** Exits on their way to whoever listens; those that came while nobody did wait here. */
export class Exits {
  readonly #waiting = new Map<string, Exit>();
  #listener: Queue<Exit> | undefined;

  tell(exit: Exit): void {
    if (this.#listener) this.#listener.push(exit);
    else this.#waiting.set(exit.id, exit);
  }

  forget(id: string): void {
    this.#waiting.delete(id);
  }

  /** One listener at a time; a new one takes over, and the old one's stream ends. */
  async *listen(signal: AbortSignal): AsyncGenerator<Exit> {
    const queue = new Queue<Exit>();
    this.#listener?.close();
    this.#listener = queue;
    const stop = () => queue.close();
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    for (const exit of this.#waiting.values()) queue.push(exit);
    this.#waiting.clear();
    try {
      yield* queue;
    } finally {
      signal.removeEventListener("abort", stop);
      if (this.#listener === queue) this.#listener = undefined;
    }
  }
}

/** The directory where conmon leaves this task's exit file: its name is the container's id, so every exec has its own. */
export function exitDirectory(paths: Pick<Paths, "exits">, record: TaskRecord): string {
  return record.kind === "container" ? paths.exits : join(record.directory, "exits");
}

/** Code and time from conmon's exit file, which it publishes by rename; undefined when there is none. */
export function readExit(paths: Pick<Paths, "exits">, record: TaskRecord): { code: number; at: number } | undefined {
  const file = join(exitDirectory(paths, record), record.containerId);
  try {
    const code = Number.parseInt(readFileSync(file, "utf8"), 10);
    return Number.isNaN(code) ? undefined : { code, at: statSync(file).mtimeMs };
  } catch {
    return undefined;
  }
}

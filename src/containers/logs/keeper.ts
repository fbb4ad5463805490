import { rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { Semaphore } from "../../async/mod.ts";
import { messageOf } from "../../errors/mod.ts";
import type { Workers } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";
import { gone, namesIn, plainPath, segmentsOf, unfinished } from "./names.ts";
import type { Rotation } from "./options.ts";
import { packLog } from "./pack.ts";
import type { LogPins } from "./pins.ts";
import { removeSegment, sealedSegments, surplus } from "./retention.ts";

export interface KeeperParts {
  readonly workers: Workers;
  readonly log: Log;
  readonly pins: LogPins;
}

interface Tidying {
  again: boolean;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/** Removes segments that are too many, and packs the others: one at a time, in a worker thread. */
export class Keeper {
  readonly #parts: KeeperParts;
  readonly #tidying = new Map<string, Tidying>();
  readonly #one = new Semaphore(1);
  #stopped = false;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** Resolves when nothing is left to do for this log. What fails is told in the daemon's log and tried again with the next call. */
  tidy(log: string, rotation: Rotation): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    const running = this.#tidying.get(log);
    if (running) {
      running.again = true;
      return running.done;
    }
    const stop = new AbortController();
    const tidying: Tidying = { again: true, stop, done: Promise.resolve().then(() => this.#run(log, rotation)) };
    this.#tidying.set(log, tidying);
    return tidying.done;
  }

  /** Resolves when nothing of this keeper touches the log any more. */
  async leave(log: string): Promise<void> {
    const running = this.#tidying.get(log);
    running?.stop.abort();
    await running?.done;
  }

  /** For good. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#tidying.keys()].map((log) => this.leave(log)));
  }

  async #run(log: string, rotation: Rotation): Promise<void> {
    const tidying = this.#tidying.get(log);
    try {
      while (tidying?.again && !tidying.stop.signal.aborted) {
        tidying.again = false;
        await this.#once(log, { rotation, signal: tidying.stop.signal });
      }
    } catch (err) {
      if (!tidying?.stop.signal.aborted) this.#parts.log.warn("Cannot tidy up a log", { log, error: messageOf(err) });
    } finally {
      this.#tidying.delete(log);
    }
  }

  async #once(log: string, { rotation, signal }: { rotation: Rotation; signal: AbortSignal }): Promise<void> {
    clearUnfinished(log);
    for (const segment of surplus(log, rotation)) {
      if (this.#parts.pins.needs(log, segment.seq)) break;
      removeSegment(log, segment);
    }
    if (!rotation.compress) return;
    for (const { seq, kind } of sealedSegments(log)) {
      if (kind === "packed") continue;
      await this.#one.run(() => this.#parts.workers.run(packLog, { log, seq }, { signal }), signal);
    }
  }
}

/** What is left of packings that were cut off, and marks of numbers that are not the newest any more. */
export function clearUnfinished(log: string): void {
  for (const { seq, kind } of segmentsOf(log)) if (kind === "packed") rmSync(plainPath(log, seq), { force: true });
  const names = namesIn(dirname(log)).filter((name) => name.startsWith(`${basename(log)}.`));
  const newest = Math.max(...names.map((name) => numberOf(log, name)));
  for (const name of names) {
    const draft = name.endsWith(`.zst${unfinished}`);
    const mark = name.endsWith(gone) && numberOf(log, name) < newest;
    if (draft || mark) rmSync(join(dirname(log), name), { force: true });
  }
}

function numberOf(log: string, name: string): number {
  return Number.parseInt(name.slice(basename(log).length + 1), 10) || 0;
}

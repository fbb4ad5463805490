import { existsSync, renameSync, statSync } from "node:fs";
import { after } from "../../async/mod.ts";
import { isKind, messageOf } from "../../errors/mod.ts";
import type { Log } from "../../log/mod.ts";
import type { Runtime } from "../../runtime/mod.ts";
import { plainPath, segmentsOf } from "./names.ts";
import type { Rotation } from "./options.ts";

/** Milliseconds between two looks at a log: that of a container that writes nothing, of one that writes or has just started, and of one near its limit. */
const longest = 4000;
const usual = 1000;
const first = 250;
const shortest = 50;
/** How long conmon may take to have a new file there, in milliseconds; if it takes longer the next look goes on. */
const reopenLimit = 1000;
const pause = 5;

export interface Rotated {
  readonly id: string;
  /** The current segment's path. */
  readonly log: string;
  readonly rotation: Rotation;
}

interface Entry extends Rotated {
  size: number;
  looked: number;
  interval: number;
  due: number;
  busy: boolean;
}

export interface RotatorParts {
  readonly runtime: Pick<Runtime, "reopenLog">;
  readonly log: Log;
  /** Called after each rotation. */
  readonly rotated: (log: Rotated) => void;
  readonly now?: () => number;
}

/**
 * Rotates the logs of running containers. One timer for all: a look is one stat(2), and a log that does not grow is looked
 * at every four seconds. A rotation renames the current segment, then has conmon open a new one; until conmon does, it
 * writes on to the renamed one. Cut off in between it is gone on with at the next look, by this daemon or the next one: that
 * there is no current segment says so.
 */
export class Rotator {
  readonly #parts: RotatorParts;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: RotatorParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
  }

  /** From when the container runs. */
  track(log: Rotated): void {
    const now = this.#now();
    this.#entries.set(log.id, { ...log, size: 0, looked: now, interval: first, due: now, busy: false });
    this.#schedule();
  }

  /** When it does not run any more. */
  forget(id: string): void {
    this.#entries.delete(id);
    this.#schedule();
  }

  stop(): void {
    this.#entries.clear();
    this.#schedule();
  }

  /** Looks at the logs whose time has come, and resolves when what had to be rotated is. */
  async look(): Promise<void> {
    const now = this.#now();
    const due = [...this.#entries.values()].filter((entry) => !entry.busy && entry.due <= now);
    await Promise.all(due.map((entry) => this.#lookAt(entry, now)));
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let next = Number.POSITIVE_INFINITY;
    for (const { busy, due } of this.#entries.values()) if (!busy) next = Math.min(next, due);
    if (next === Number.POSITIVE_INFINITY) return;
    const look = () => {
      this.look().catch((err) => this.#parts.log.warn("Cannot look at logs", { error: messageOf(err) }));
      this.#schedule();
    };
    this.#timer = setTimeout(look, Math.max(shortest, next - this.#now()));
    this.#timer.unref();
  }

  #lookAt(entry: Entry, now: number): Promise<void> | undefined {
    const size = statSync(entry.log, { throwIfNoEntry: false })?.size;
    const { maxSize } = entry.rotation;
    const grown = (size ?? 0) - entry.size;
    const left = maxSize - (size ?? 0);
    const time = grown > 0 ? (left * Math.max(1, now - entry.looked)) / grown : longest;
    entry.interval = grown > 0 ? Math.max(shortest, Math.min(usual, time)) : Math.min(longest, entry.interval * 2);
    Object.assign(entry, { size: size ?? 0, looked: now, due: now + entry.interval });
    return size === undefined || size >= maxSize ? this.#rotate(entry) : undefined;
  }

  /** One that is not through leaves the others alone. */
  async #rotate(entry: Entry): Promise<void> {
    entry.busy = true;
    let interval = usual;
    try {
      renameCurrent(entry.log);
      await this.#reopen(entry);
      this.#parts.rotated(entry);
      interval = shortest;
    } catch (err) {
      // Not found: its process has ended, and the next one opens a new segment.
      if (!isKind(err, "not-found")) {
        this.#parts.log.warn("Cannot rotate a log", { container: entry.id, error: messageOf(err) });
      }
    } finally {
      const now = this.#now();
      Object.assign(entry, { busy: false, size: 0, looked: now, interval, due: now + interval });
      this.#schedule();
    }
  }

  async #reopen({ id, log }: Rotated): Promise<void> {
    await this.#parts.runtime.reopenLog(id, () => !existsSync(log));
    for (let waited = 0; !existsSync(log) && waited < reopenLimit; waited += pause) await after(pause);
  }
}

/** The first half of a rotation; nothing when it has been done already. */
export function renameCurrent(log: string): void {
  const current = segmentsOf(log).find(({ kind }) => kind === "current");
  if (current) renameSync(log, plainPath(log, current.seq));
}

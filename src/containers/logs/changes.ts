import { type FSWatcher, watch } from "node:fs";

/** Between two looks without news, in milliseconds: notifications get lost when the kernel's queue is full. */
const doubt = 1000;

/**
 * News of log directories: one watch for all who follow a container, closed with the last of them. It is on the directory
 * and so outlives rotations.
 */
export class LogChanges {
  readonly #watched = new Map<string, Watched>();

  /** To be closed by whoever asked. */
  listen(directory: string): Listener {
    const watched = this.#watched.get(directory) ?? this.#open(directory);
    const listener: Listener = new Listener(() => {
      watched.listeners.delete(listener);
      if (watched.listeners.size === 0) this.#close(directory, watched);
    });
    watched.listeners.add(listener);
    return listener;
  }

  /** How many directories are watched. */
  get size(): number {
    return this.#watched.size;
  }

  #open(directory: string): Watched {
    const listeners = new Set<Listener>();
    const tell = () => {
      for (const listener of listeners) listener.tell();
    };
    const timer = setInterval(tell, doubt);
    timer.unref();
    const watched: Watched = { listeners, timer, watcher: watcherOf(directory, tell) };
    this.#watched.set(directory, watched);
    return watched;
  }

  #close(directory: string, watched: Watched): void {
    this.#watched.delete(directory);
    clearInterval(watched.timer);
    watched.watcher?.close();
  }
}

interface Watched {
  readonly listeners: Set<Listener>;
  readonly timer: ReturnType<typeof setInterval>;
  readonly watcher: FSWatcher | undefined;
}

/** Undefined when the kernel has no more watches to give (inotify(7)): then there is the timer. */
function watcherOf(directory: string, tell: () => void): FSWatcher | undefined {
  try {
    return watch(directory, tell).on("error", () => undefined); // the directory is gone: the end of its container says so
  } catch {
    return undefined;
  }
}

/** `next` resolves when something has changed since it last did. */
export class Listener implements Disposable {
  readonly #close: () => void;
  #dirty = true;
  #wake: (() => void) | undefined;

  constructor(close: () => void) {
    this.#close = close;
  }

  async next(): Promise<void> {
    if (!this.#dirty) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#dirty = false;
  }

  tell(): void {
    this.#dirty = true;
    this.#wake?.();
    this.#wake = undefined;
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

import type { Row } from "./table.ts";

const longest = 60_000;
/** A process that lasted this long gets the first delay again. */
const healthy = 10_000;

/**
 * Whether a container that has ended is to be started again (moby's restartmanager): "always" and "unless-stopped" unless
 * a user stopped it, "on-failure" while it fails and the count lasts.
 */
export function shouldRestart(row: Row, exitCode: number): boolean {
  if (row.stoppedByUser) return false;
  const { Name, MaximumRetryCount = 0 } = row.hostConfig.RestartPolicy;
  if (Name === "always" || Name === "unless-stopped") return true;
  if (Name !== "on-failure" || exitCode === 0) return false;
  return MaximumRetryCount === 0 || row.restartCount < MaximumRetryCount;
}

/** Whether a container that does not run is started when the daemon starts: "always" even if a user had stopped it. */
export function shouldStartWithDaemon(row: Row): boolean {
  if (row.started === "") return false;
  if (row.hostConfig.RestartPolicy.Name === "always") return true;
  return shouldRestart(row, row.exitCode);
}

/** Timers of containers that wait to be started again, with delays that double up to a minute. */
export class Retries {
  readonly #first: number;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #delays = new Map<string, number>();
  readonly #kept = new Map<string, number>();

  /** `first` is the first delay in milliseconds. */
  constructor(first: number) {
    this.#first = first;
  }

  /** Calls `retry` later; `lasted` is how long the process ran, in milliseconds. */
  schedule(id: string, options: { readonly lasted: number; readonly retry: () => void }): void {
    const before = options.lasted >= healthy ? undefined : this.#delays.get(id);
    const delay = before === undefined ? this.#first : Math.min(before * 2, longest);
    this.#delays.set(id, delay);
    clearTimeout(this.#timers.get(id));
    this.#timers.set(id, setTimeout(options.retry, delay));
  }

  /** No retry, and the next one starts with the first delay. */
  forget(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.#delays.delete(id);
  }

  stopAll(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  /** While it is held, an exit does not remove the container although it has `--rm`: it is being restarted. */
  keep(id: string): Disposable & { release(): void } {
    this.#kept.set(id, (this.#kept.get(id) ?? 0) + 1);
    let held = true;
    const release = () => {
      const left = (this.#kept.get(id) ?? 1) - 1;
      if (held && left === 0) this.#kept.delete(id);
      else if (held) this.#kept.set(id, left);
      held = false;
    };
    return { release, [Symbol.dispose]: release };
  }

  isKept(id: string): boolean {
    return this.#kept.has(id);
  }
}

import type { Net } from "../host/mod.ts";
import type { Log } from "../log/mod.ts";

/** Milliseconds without a new sandbox until the next spare one is made, so that no container that starts has to share the processor with it. */
const quiet = 100;

type Namespaces = Pick<Net, "createNamespace" | "moveNamespace" | "removeNamespace">;

/**
 * One network namespace made ahead of its holder, because every container's start would otherwise wait 3 to 5 ms for
 * the process that makes it. It lies beside the others under a name that no holder can have and no row knows, so what a
 * crash leaves of it goes with the next `recover`.
 */
export class Spare {
  readonly #net: Namespaces;
  readonly #directory: string;
  readonly #log: Log;
  #open = false;
  #count = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The path; undefined when it could not be made. */
  #made: Promise<string | undefined> | undefined;

  constructor({ net, directory, log }: { net: Namespaces; directory: string; log: Log }) {
    this.#net = net;
    this.#directory = directory;
    this.#log = log;
  }

  /** Binds a namespace with nothing but loopback at the path: the spare one if there is one. Throws as {@link Net.createNamespace}. */
  async place(path: string): Promise<void> {
    const spare = await this.#take();
    try {
      if (spare === undefined) await this.#net.createNamespace(path);
      else this.#move(spare, path);
    } finally {
      this.#prepareLater();
    }
  }

  /** Begins to make one, and from now on another after each that is used. */
  prepare(): void {
    this.#open = true;
    this.#made ??= this.#make();
  }

  /** Removes it, and makes no more. */
  async close(): Promise<void> {
    this.#open = false;
    clearTimeout(this.#timer);
    const spare = await this.#take();
    if (spare !== undefined) this.#net.removeNamespace(spare);
  }

  async #take(): Promise<string | undefined> {
    const made = this.#made;
    this.#made = undefined;
    return await made;
  }

  #move(spare: string, path: string): void {
    try {
      this.#net.moveNamespace(spare, path);
    } catch (err) {
      this.#net.removeNamespace(spare);
      throw err;
    }
  }

  async #make(): Promise<string | undefined> {
    const path = `${this.#directory}/+${this.#count++}`;
    try {
      await this.#net.createNamespace(path);
      return path;
    } catch (error) {
      this.#log.warn("Make a spare network namespace", { error });
      return undefined;
    }
  }

  #prepareLater(): void {
    clearTimeout(this.#timer);
    if (!this.#open) return;
    this.#timer = setTimeout(() => this.prepare(), quiet);
    this.#timer.unref();
  }
}

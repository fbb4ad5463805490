import { EngineError } from "../../errors/mod.ts";
import type { Exit } from "../../runtime/mod.ts";
import type { ExecCreateBody } from "../../wire/mod.ts";

/** A process to be run in a container, or that was. Kept in memory only, as Docker does: a daemon's restart forgets it. */
export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly body: ExecCreateBody;
  readonly phase: "created" | "starting" | "running" | "ended";
  readonly pid: number;
  readonly exitCode: number | null;
}

/** Ended execs that are remembered for each container, for those who inspect them late. */
const remembered = 64;

export class ExecTable {
  readonly #execs = new Map<string, Exec>();
  readonly #ends = new Map<string, PromiseWithResolvers<Exec>>();
  readonly #starts = new Map<string, PromiseWithResolvers<void>>();

  add(exec: Exec): void {
    this.#execs.set(exec.id, exec);
    this.#ends.set(exec.id, Promise.withResolvers());
    this.#trim(exec.containerId);
  }

  /** Throws "not-found" in Docker's words. */
  get(id: string): Exec {
    const exec = this.#execs.get(id);
    if (!exec) throw new EngineError("not-found", `No such exec instance: ${id}`);
    return exec;
  }

  has(id: string): boolean {
    return this.#execs.has(id);
  }

  update(id: string, patch: Partial<Omit<Exec, "id" | "containerId" | "body">>): Exec {
    const exec = { ...this.get(id), ...patch };
    this.#execs.set(id, exec);
    if (exec.phase === "starting") this.#starts.set(id, this.#starts.get(id) ?? Promise.withResolvers());
    else this.#settleStart(id);
    return exec;
  }

  /** The exec once it is not starting any more. Throws "not-found". */
  async started(id: string): Promise<Exec> {
    await this.#starts.get(id)?.promise;
    return this.get(id);
  }

  /** Resolves when the exec has ended. */
  ended(id: string): Promise<Exec> {
    return this.#ends.get(id)?.promise ?? Promise.resolve(this.get(id));
  }

  /** Records the end; undefined for one that is unknown or had ended. */
  end(exit: Pick<Exit, "id" | "code">): Exec | undefined {
    const before = this.#execs.get(exit.id);
    if (!before || before.phase === "ended") return undefined;
    const exec = this.update(exit.id, { phase: "ended", exitCode: exit.code, pid: 0 });
    this.#ends.get(exit.id)?.resolve(exec);
    this.#ends.delete(exit.id);
    return exec;
  }

  /** Those that run (or are about to), which `inspect` lists. */
  running(containerId: string): string[] {
    return this.#of(containerId).flatMap((exec) => (exec.phase === "running" ? [exec.id] : []));
  }

  /** The container's process has ended, and with it everything in its namespaces: 137 for who was still there. */
  endOf(containerId: string): readonly Exec[] {
    const left = this.#of(containerId).filter((exec) => exec.phase === "running");
    for (const { id } of left) this.end({ id, code: 137 });
    return left;
  }

  /** The container is gone. */
  dropOf(containerId: string): void {
    this.endOf(containerId);
    for (const { id } of this.#of(containerId)) this.#forget(id);
  }

  #of(containerId: string): Exec[] {
    return [...this.#execs.values()].filter((exec) => exec.containerId === containerId);
  }

  #trim(containerId: string): void {
    const ended = this.#of(containerId).filter((exec) => exec.phase === "ended");
    for (const { id } of ended.slice(0, Math.max(0, ended.length - remembered))) this.#forget(id);
  }

  #settleStart(id: string): void {
    this.#starts.get(id)?.resolve();
    this.#starts.delete(id);
  }

  #forget(id: string): void {
    this.#settleStart(id);
    this.#execs.delete(id);
    this.#ends.delete(id);
  }
}

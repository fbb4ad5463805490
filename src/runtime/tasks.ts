import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineError } from "../errors/mod.ts";
import type { Exit, RuntimeName } from "./runtime.ts";

/** What the next daemon must know of a task to find it again. */
export interface TaskRecord {
  readonly id: string;
  readonly kind: "container" | "exec";
  /** The container's id, also of an exec. */
  readonly containerId: string;
  /** Where conmon's files are. */
  readonly directory: string;
  /** The container's, also of an exec. */
  readonly runtime: RuntimeName;
  /** Relative to the hierarchy's root; undefined for an exec. */
  readonly cgroup?: string;
}

/** A task that this daemon started or adopted. */
export interface LiveTask {
  readonly record: TaskRecord;
  readonly pid: number;
  readonly monitorPid: number;
  /** Set once the exit is known. */
  exit?: Exit;
  /** Resolves after the exit is known and was told. */
  settled: Promise<void>;
  /** For one without a conmon; does nothing where there is no terminal. */
  readonly resize?: (size: { readonly rows: number; readonly columns: number }) => void;
  /** The last write to conmon's control pipe. */
  control: Promise<void>;
}

/** Records are files, not rows: they belong to the execution root, which a reboot empties together with what they describe. */
export class Tasks {
  readonly #directory: string;
  readonly #live = new Map<string, LiveTask>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Written under another name first: a torn record would hide a running task. */
  record(record: TaskRecord): void {
    const file = this.#file(record.id);
    writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  add(task: LiveTask): void {
    this.#live.set(task.record.id, task);
  }

  find(id: string): LiveTask | undefined {
    return this.#live.get(id);
  }

  /** Throws "not-found". */
  get(id: string): LiveTask {
    const task = this.#live.get(id);
    if (task) return task;
    throw new EngineError("not-found", `No such task: ${id}`);
  }

  execsOf(containerId: string): LiveTask[] {
    return [...this.#live.values()].filter(
      ({ record }) => record.kind === "exec" && record.containerId === containerId,
    );
  }

  forget(id: string): void {
    this.#live.delete(id);
    rmSync(this.#file(id), { force: true });
  }

  read(name: string): TaskRecord | undefined {
    try {
      return JSON.parse(readFileSync(join(this.#directory, name), "utf8")) as TaskRecord;
    } catch {
      return undefined;
    }
  }

  #file(id: string): string {
    return join(this.#directory, `${id}.json`);
  }
}

import type { Workers } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";
import type { Bundle, Runtime } from "../../runtime/mod.ts";
import type { ContainersConfig } from "../context.ts";
import { pathsOf } from "../paths.ts";
import type { Row } from "../table.ts";
import { LogChanges } from "./changes.ts";
import { Keeper } from "./keeper.ts";
import { type Rotation, rotationOf } from "./options.ts";
import { LogPins } from "./pins.ts";
import { type Rotated, Rotator } from "./rotator.ts";
import { tagOf } from "./tag.ts";

export interface ContainerLogsParts {
  readonly runtime: Pick<Runtime, "reopenLog">;
  readonly workers: Workers;
  readonly log: Log;
  readonly config: ContainersConfig;
}

/** The logs of all containers: who writes, who reads, and what is kept. */
export class ContainerLogs {
  readonly changes = new LogChanges();
  readonly pins = new LogPins();
  readonly #config: ContainersConfig;
  readonly #keeper: Keeper;
  readonly #rotator: Rotator;

  constructor({ runtime, workers, log, config }: ContainerLogsParts) {
    this.#config = config;
    this.#keeper = new Keeper({ workers, log, pins: this.pins });
    this.#rotator = new Rotator({ runtime, log, rotated: (one) => void this.#keeper.tidy(one.log, one.rotation) });
  }

  /** What the monitor is told about a container's log. */
  destination(row: Row): Pick<Bundle, "logPath" | "journal"> {
    const { Type, Config } = row.hostConfig.LogConfig;
    if (Type === "none") return {};
    if (Type === "journald") return { journal: { name: row.name, tag: tagOf(Config["tag"] || "{{.ID}}", row) } };
    return { logPath: pathsOf(this.#config, row.id).log };
  }

  /** The container runs: its log is rotated from now on. */
  started(row: Row): void {
    const kept = this.#kept(row);
    if (kept && kept.rotation.maxSize !== Number.POSITIVE_INFINITY) this.#rotator.track(kept);
  }

  ended(id: string): void {
    this.#rotator.forget(id);
  }

  /** Goes on with what an earlier daemon was cut off at, for containers that do not run, too. */
  async recover(rows: readonly Row[]): Promise<void> {
    for (const row of rows) {
      const kept = this.#kept(row);
      if (kept) await this.#keeper.tidy(kept.log, kept.rotation);
    }
  }

  /** A reader is done: segments that were kept for it may go. */
  released(row: Row): void {
    const kept = this.#kept(row);
    if (kept) void this.#keeper.tidy(kept.log, kept.rotation);
  }

  /** Resolves when nothing is written to the container's directory any more. */
  async leave(id: string): Promise<void> {
    this.#rotator.forget(id);
    await this.#keeper.leave(pathsOf(this.#config, id).log);
  }

  async shutdown(): Promise<void> {
    this.#rotator.stop();
    await this.#keeper.stop();
  }

  #kept(row: Row): Rotated | undefined {
    const { Type } = row.hostConfig.LogConfig;
    if (Type === "none" || Type === "journald") return undefined;
    return { id: row.id, log: pathsOf(this.#config, row.id).log, rotation: rotationFor(row) };
  }
}

/** Rows of earlier versions have options that nobody checked. */
function rotationFor({ hostConfig }: Row): Rotation {
  try {
    return rotationOf(hostConfig.LogConfig);
  } catch {
    return rotationOf({ Type: "", Config: {} });
  }
}

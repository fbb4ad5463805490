import type { KeyedLock } from "../async/mod.ts";
import type { Db } from "../db/mod.ts";
import type { Events } from "../events/mod.ts";
import type { Processes, Workers } from "../host/mod.ts";
import type { VolumeMounts } from "./mounts/mounts.ts";
import type { VolumeRow } from "./table.ts";

/** The module's insides, passed to each operation. */
export interface VolumeParts {
  readonly db: Db;
  /** Holds a directory for each volume. */
  readonly root: string;
  readonly workers: Workers;
  /** Threads that a file server may keep waiting. */
  readonly mounters: Workers;
  readonly mounts: VolumeMounts;
  readonly processes: Pick<Processes, "run">;
  readonly events: Pick<Events, "publish">;
  /** By name: making, filling and removing a volume's directory take turns. Of two names the smaller comes first. */
  readonly lock: KeyedLock;
  /** Names of those whose files are on their way, which no sweep may take for remains of a crash. */
  readonly making: Set<string>;
  /** Makes a volume's directories and its disk, those that are missing. */
  makeDirectory(row: Pick<VolumeRow, "name" | "options">): Promise<void>;
}

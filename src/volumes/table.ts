import type { Migration, Query, Tx } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";

export const volumesMigrations: readonly Migration[] = [
  {
    module: "volumes",
    version: 1,
    sql: `
      CREATE TABLE volumes (
        name TEXT PRIMARY KEY,
        driver TEXT NOT NULL,
        labels TEXT NOT NULL,
        anonymous INTEGER NOT NULL,
        created INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE volume_holders (
        volume TEXT NOT NULL REFERENCES volumes(name),
        holder TEXT NOT NULL,
        PRIMARY KEY (volume, holder)
      ) STRICT, WITHOUT ROWID;`,
  },
  {
    module: "volumes",
    version: 2,
    sql: `
      ALTER TABLE volumes ADD COLUMN options TEXT NOT NULL DEFAULT '{}';
      ALTER TABLE volumes ADD COLUMN state TEXT NOT NULL DEFAULT 'ready';
      ALTER TABLE volumes ADD COLUMN movedFrom TEXT NOT NULL DEFAULT '';`,
  },
];

export interface VolumeRow {
  readonly name: string;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly anonymous: boolean;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** The driver's, as given; with any, something is to be mounted before the volume can be used. */
  readonly options: Readonly<Record<string, string>>;
  /** "making": its files are still on their way; nobody sees it, and it is removed after a crash. */
  readonly state: "ready" | "making";
  /** The name that its directory has until it is renamed; "" when it has its own. */
  readonly movedFrom: string;
}

interface StoredRow {
  readonly name: string;
  readonly driver: string;
  readonly labels: string;
  readonly anonymous: number;
  readonly created: number;
  readonly options: string;
  readonly state: VolumeRow["state"];
  readonly movedFrom: string;
}

function fromStored(row: StoredRow): VolumeRow {
  return {
    ...row,
    labels: JSON.parse(row.labels) as Readonly<Record<string, string>>,
    anonymous: row.anonymous !== 0,
    options: JSON.parse(row.options) as Readonly<Record<string, string>>,
  };
}

export function findVolume(q: Query, name: string): VolumeRow | undefined {
  const row = q.get<StoredRow>("SELECT * FROM volumes WHERE name = ?", [name]);
  return row && fromStored(row);
}

/** Throws "not-found" in Docker's words; one that is still being made is not there yet. */
export function requireVolume(q: Query, name: string): VolumeRow {
  const row = findVolume(q, name);
  if (row?.state === "ready") return row;
  throw new EngineError("not-found", `get ${name}: no such volume`);
}

export function listVolumes(q: Query): VolumeRow[] {
  return q.all<StoredRow>("SELECT * FROM volumes ORDER BY name").map(fromStored);
}

/** Those that others see. */
export function listReady(q: Query): VolumeRow[] {
  return listVolumes(q).filter(({ state }) => state === "ready");
}

export function insertVolume(tx: Tx, row: VolumeRow): void {
  const { name, driver, anonymous, created, state, movedFrom } = row;
  const [labels, options] = [JSON.stringify(row.labels), JSON.stringify(row.options)];
  const columns = "name, driver, labels, anonymous, created, options, state, movedFrom";
  const values = [name, driver, labels, anonymous, created, options, state, movedFrom];
  tx.run(`INSERT INTO volumes (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, values);
}

export function markReady(tx: Tx, name: string): void {
  tx.run("UPDATE volumes SET state = 'ready', movedFrom = '' WHERE name = ?", [name]);
}

export function setOptions(tx: Tx, name: string, options: VolumeRow["options"]): void {
  tx.run("UPDATE volumes SET options = ? WHERE name = ?", [JSON.stringify(options), name]);
}

export function setLabels(tx: Tx, { name, labels, anonymous }: VolumeRow): void {
  tx.run("UPDATE volumes SET labels = ?, anonymous = ? WHERE name = ?", [JSON.stringify(labels), anonymous, name]);
}

/** Its holders come along. */
export function renameVolume(tx: Tx, row: VolumeRow, name: string): void {
  insertVolume(tx, { ...row, name, movedFrom: row.name });
  tx.run("UPDATE volume_holders SET volume = ? WHERE volume = ?", [name, row.name]);
  deleteVolume(tx, row.name);
}

export function deleteVolume(tx: Tx, name: string): void {
  tx.run("DELETE FROM volumes WHERE name = ?", [name]);
}

export function holdersOf(q: Query, volume: string): string[] {
  const sql = "SELECT holder FROM volume_holders WHERE volume = ? ORDER BY holder";
  return q.all<{ holder: string }>(sql, [volume]).map((row) => row.holder);
}

/** Names of volumes that somebody holds. */
export function heldVolumes(q: Query): Set<string> {
  const rows = q.all<{ volume: string }>("SELECT DISTINCT volume FROM volume_holders");
  return new Set(rows.map((row) => row.volume));
}

/** What an operation of this program holds, not a container: none of it outlives the program. */
export const jobHolder = "job/";

export function dropJobHolders(tx: Tx): void {
  tx.run("DELETE FROM volume_holders WHERE holder LIKE ?", [`${jobHolder}%`]);
}

/** False when it was there already. */
export function addHolder(tx: Tx, volume: string, holder: string): boolean {
  return tx.run("INSERT OR IGNORE INTO volume_holders VALUES (?, ?)", [volume, holder]) > 0;
}

export function removeHolder(tx: Tx, volume: string, holder: string): void {
  tx.run("DELETE FROM volume_holders WHERE volume = ? AND holder = ?", [volume, holder]);
}

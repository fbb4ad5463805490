/** Real stores in a directory of their own, and archives to fill them with, for this module's tests. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContentStore, contentMigrations, openContent } from "../../content/mod.ts";
import { type Db, openDb } from "../../db/mod.ts";
import { createWorkers, removeTree, type Workers } from "../../host/mod.ts";
import { createLog, type Log } from "../../log/mod.ts";
import { digestOf, mediaTypes } from "../../oci/mod.ts";
import { openSnapshots, type Snapshotter, snapshotsMigrations } from "../../snapshots/mod.ts";
import { collect, fromBuffer, type TarHeader, writeTar } from "../../stream/mod.ts";
import { type LayerSource, type LayersService, layersMigrations, openLayers } from "../mod.ts";

export interface Store extends AsyncDisposable {
  readonly directory: string;
  readonly db: Db;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly workers: Workers;
  readonly layers: LayersService;
  readonly log: Log;
  readonly logged: string[];
}

export async function openStore(): Promise<Store> {
  const directory = mkdtempSync(join(tmpdir(), "berth-layers-"));
  const workers = createWorkers({ size: 2 });
  const db = openDb(join(directory, "db"), [...contentMigrations, ...snapshotsMigrations, ...layersMigrations]);
  const content = await openContent({ db, directory: join(directory, "content") });
  const snapshots = await openSnapshots({ db, directory: join(directory, "snapshots"), workers });
  const logged: string[] = [];
  const log = createLog("debug", (line) => logged.push(line));
  const layers = openLayers({ db, content, snapshots, workers, log });
  return {
    ...{ directory, db, content, snapshots, workers, layers, log, logged },
    [Symbol.asyncDispose]: async () => {
      db[Symbol.dispose]();
      await workers.run(removeTree, { path: directory });
      await workers[Symbol.asyncDispose]();
    },
  };
}

export type Entry = Partial<Omit<TarHeader, "name" | "linkname">> & {
  readonly name: string | Uint8Array;
  readonly linkname?: string;
  readonly text?: string;
};

/** An archive of these entries; strings are files' names, with a slash at the end directories'. */
export function archive(...entries: (Entry | string)[]): Promise<Buffer> {
  return collect(writeTar(entries.map(complete)), 1 << 26);
}

function complete(given: Entry | string) {
  const { name, text = "", linkname, ...rest } = typeof given === "string" ? { name: given } : given;
  const slash = typeof name === "string" && name.endsWith("/");
  const header: TarHeader = {
    name: Buffer.from((slash ? name.slice(0, -1) : name) as string),
    type: slash ? "directory" : linkname === undefined ? "file" : "symlink",
    mode: slash ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    size: BigInt(text.length),
    mtime: 1_000_000_000n,
    ...rest,
    ...(linkname !== undefined && { linkname: Buffer.from(linkname) }),
  };
  return { header, content: fromBuffer(text) };
}

/** A layer whose blob is in the store; `blob` is the archive as it is stored, if that is not how it is hashed. */
export async function layerOf(content: ContentStore, tar: Uint8Array, blob = tar): Promise<LayerSource> {
  await using ingest = await content.ingest();
  await ingest.write(blob);
  const { digest, size } = await ingest.commit();
  return { diffId: digestOf(tar), blob: { mediaType: mediaTypes.layer, digest, size } };
}

export const neverAborted = new AbortController().signal;

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contentMigrations, openContent } from "../../content/mod.ts";
import { openDb } from "../../db/mod.ts";
import { serve } from "../../http/mod.ts";
import { nullLog } from "../../log/mod.ts";
import { openTagStore, problemOf, registryMigrations, registryRoots, registryRoutes } from "../mod.ts";

/** A registry on a port of its own, with a real content store. */
export async function startRegistry() {
  const directory = mkdtempSync(join(tmpdir(), "berth-registry-"));
  const db = openDb(join(directory, "db"), [...contentMigrations, ...registryMigrations]);
  const content = await openContent({ db, directory: join(directory, "content") });
  const collector = {
    async collect() {
      const dropped = db.write((tx) => content.dropUnreferenced(tx, registryRoots.content?.(tx) ?? []));
      await content.deleteDropped(dropped);
      return { bytes: 0, blobs: dropped.map((blob) => blob.digest), snapshots: [] };
    },
  };
  const leases = { hold: <T>(body: () => Promise<T>) => body() };
  const tags = openTagStore(db);
  const stop = new AbortController();
  const routes = registryRoutes({ content, tags, leases, collector, log: nullLog, signal: stop.signal });
  const server = await serve({ listen: "tcp://127.0.0.1:0", routes, onError: problemOf });
  const host = server.address.replace("tcp://", "");
  return {
    content,
    tags,
    collector,
    host,
    url: `http://${host}`,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await server[Symbol.asyncDispose]();
      db[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

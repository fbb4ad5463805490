import type { Db, Migration, Query, Tx } from "../db/mod.ts";
import type { Digest } from "../oci/mod.ts";
import type { ContentInfo } from "./content.ts";

export const contentMigrations: readonly Migration[] = [
  {
    module: "content",
    version: 1,
    sql: `
      CREATE TABLE content (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, created INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      CREATE TABLE content_refs (parent TEXT NOT NULL, child TEXT NOT NULL, PRIMARY KEY (parent, child)) STRICT, WITHOUT ROWID;`,
  },
];

export function findBlob(q: Query, digest: Digest): ContentInfo | undefined {
  return q.get<ContentInfo>("SELECT digest, size FROM content WHERE digest = ?", [digest]);
}

export function listBlobs(db: Db): ContentInfo[] {
  return db.read((q) => q.all<ContentInfo>("SELECT digest, size FROM content ORDER BY digest"));
}

export function insertBlob(tx: Tx, blob: ContentInfo): void {
  tx.run("INSERT INTO content (digest, size, created) VALUES (?, ?, ?)", [blob.digest, blob.size, Date.now()]);
}

export function deleteBlob(tx: Tx, digest: Digest): void {
  tx.run("DELETE FROM content WHERE digest = ?", [digest]);
  tx.run("DELETE FROM content_refs WHERE parent = ?", [digest]);
}

/** Says that `parent` needs `children`: they stay as long as it does. Adding an edge again is no error. */
export function recordReferences(tx: Tx, parent: Digest, children: Iterable<Digest>): void {
  for (const child of children) tx.run("INSERT OR IGNORE INTO content_refs VALUES (?, ?)", [parent, child]);
}

/** Mark and sweep: `roots` and all that they lead to stay. */
export function deleteUnreferenced(tx: Tx, roots: Iterable<Digest>): ContentInfo[] {
  const dropped = tx.all<ContentInfo>(
    `WITH RECURSIVE live(digest) AS (
       SELECT value FROM json_each(?)
       UNION SELECT child FROM content_refs JOIN live ON content_refs.parent = live.digest)
     DELETE FROM content WHERE digest NOT IN (SELECT digest FROM live) RETURNING digest, size`,
    [JSON.stringify([...roots])],
  );
  tx.run("DELETE FROM content_refs WHERE parent NOT IN (SELECT digest FROM content)");
  return dropped;
}

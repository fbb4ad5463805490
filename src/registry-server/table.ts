import type { Db, Migration, Query } from "../db/mod.ts";
import type { Roots } from "../gc/mod.ts";
import type { Descriptor, Digest } from "../oci/mod.ts";
import type { Page, StoredManifest, TagStore } from "./registry-server.ts";

export const registryMigrations: readonly Migration[] = [
  {
    module: "registry-server",
    version: 1,
    sql: `
      CREATE TABLE registry_blobs (repository TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, digest)) STRICT, WITHOUT ROWID;
      CREATE INDEX registry_blobs_digest ON registry_blobs(digest);
      CREATE TABLE registry_manifests (
        repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL,
        subject TEXT, artifact_type TEXT, annotations TEXT, PRIMARY KEY (repository, digest)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX registry_manifests_subject ON registry_manifests(repository, subject);
      CREATE TABLE registry_tags (
        repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, tag),
        FOREIGN KEY (repository, digest) REFERENCES registry_manifests(repository, digest) ON DELETE CASCADE
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX registry_tags_digest ON registry_tags(repository, digest);
    `,
  },
];

/** What the collector must keep for the registry. */
export const registryRoots: Roots = {
  content: (q) =>
    q
      .all<{ digest: Digest }>("SELECT digest FROM registry_blobs UNION SELECT digest FROM registry_manifests")
      .map((row) => row.digest),
};

interface ManifestRow {
  readonly digest: Digest;
  readonly media_type: string;
  readonly size: number;
  readonly subject: Digest | null;
  readonly artifact_type: string | null;
  readonly annotations: string | null;
}

/** The tables come with `registryMigrations`. */
export function openTagStore(db: Db): TagStore {
  return new SqlTagStore(db);
}

class SqlTagStore implements TagStore {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  hasBlob(repository: string, digest: Digest): boolean {
    const sql = "SELECT 1 FROM registry_blobs WHERE repository = ? AND digest = ?";
    return this.#db.read((q) => q.get(sql, [repository, digest]) !== undefined);
  }

  addBlob(repository: string, digest: Digest): void {
    this.#db.write((tx) => tx.run("INSERT OR IGNORE INTO registry_blobs VALUES (?, ?)", [repository, digest]));
  }

  removeBlob(repository: string, digest: Digest): boolean {
    const sql = "DELETE FROM registry_blobs WHERE repository = ? AND digest = ?";
    return this.#db.write((tx) => tx.run(sql, [repository, digest])) > 0;
  }

  manifest(repository: string, reference: string): StoredManifest | undefined {
    return this.#db.read((q) => {
      const row = manifestRow(q, { repository, digest: digestOfTag(q, repository, reference) ?? reference });
      return row && manifestOf(row);
    });
  }

  putManifest(repository: string, manifest: StoredManifest, tag?: string): void {
    const { digest, mediaType, size, subject, artifactType, annotations } = manifest;
    this.#db.write((tx) => {
      tx.run(
        `INSERT INTO registry_manifests VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type`,
        [
          repository,
          digest,
          mediaType,
          size,
          subject ?? null,
          artifactType ?? null,
          annotations ? JSON.stringify(annotations) : null,
        ],
      );
      if (tag !== undefined) tx.run("INSERT OR REPLACE INTO registry_tags VALUES (?, ?, ?)", [repository, tag, digest]);
    });
  }

  removeManifest(repository: string, digest: Digest): boolean {
    const sql = "DELETE FROM registry_manifests WHERE repository = ? AND digest = ?";
    return this.#db.write((tx) => {
      const known = manifestRow(tx, { repository, digest }) !== undefined;
      tx.run(sql, [repository, digest]);
      return known;
    });
  }

  removeTag(repository: string, tag: string): boolean {
    const sql = "DELETE FROM registry_tags WHERE repository = ? AND tag = ?";
    return this.#db.write((tx) => tx.run(sql, [repository, tag])) > 0;
  }

  exists(repository: string): boolean {
    const sql =
      "SELECT 1 FROM registry_manifests WHERE repository = ?1 UNION ALL SELECT 1 FROM registry_blobs WHERE repository = ?1 LIMIT 1";
    return this.#db.read((q) => q.get(sql, [repository]) !== undefined);
  }

  tags(repository: string, { limit, last = "" }: Page): string[] {
    const sql = "SELECT tag FROM registry_tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?";
    return this.#db.read((q) => q.all<{ tag: string }>(sql, [repository, last, limit]).map((row) => row.tag));
  }

  repositories({ limit, last = "" }: Page): string[] {
    const sql = "SELECT DISTINCT repository FROM registry_manifests WHERE repository > ? ORDER BY repository LIMIT ?";
    return this.#db.read((q) => q.all<{ repository: string }>(sql, [last, limit]).map((row) => row.repository));
  }

  referrers(repository: string, subject: Digest): Descriptor[] {
    const sql = "SELECT * FROM registry_manifests WHERE repository = ? AND subject = ? ORDER BY digest";
    return this.#db.read((q) =>
      q.all<ManifestRow>(sql, [repository, subject]).map((row) => {
        const { subject: _, ...descriptor } = manifestOf(row);
        return descriptor;
      }),
    );
  }
}

function digestOfTag(q: Query, repository: string, tag: string): Digest | undefined {
  const sql = "SELECT digest FROM registry_tags WHERE repository = ? AND tag = ?";
  return q.get<{ digest: Digest }>(sql, [repository, tag])?.digest;
}

function manifestRow(
  q: Query,
  { repository, digest }: { repository: string; digest: string },
): ManifestRow | undefined {
  return q.get("SELECT * FROM registry_manifests WHERE repository = ? AND digest = ?", [repository, digest]);
}

function manifestOf(row: ManifestRow): StoredManifest {
  return {
    mediaType: row.media_type,
    digest: row.digest,
    size: row.size,
    ...(row.subject && { subject: row.subject }),
    ...(row.artifact_type && { artifactType: row.artifact_type }),
    ...(row.annotations && { annotations: JSON.parse(row.annotations) as Record<string, string> }),
  };
}

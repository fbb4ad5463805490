import type { Migration, Query, Tx } from "../db/mod.ts";
import type { Roots } from "../gc/mod.ts";
import type { Descriptor, Digest } from "../oci/mod.ts";

export const imagesMigrations: readonly Migration[] = [
  {
    module: "images",
    version: 1,
    sql: `
      CREATE TABLE images (
        id TEXT PRIMARY KEY, manifest TEXT NOT NULL, manifest_type TEXT NOT NULL, manifest_size INTEGER NOT NULL,
        config TEXT NOT NULL, parent TEXT, snapshot TEXT, size INTEGER NOT NULL, created INTEGER NOT NULL, tagged INTEGER
      ) STRICT;
      CREATE INDEX images_parent ON images(parent);
      CREATE TABLE image_layers (
        image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, position INTEGER NOT NULL, chain TEXT NOT NULL,
        media_type TEXT NOT NULL, digest TEXT NOT NULL, blob_size INTEGER NOT NULL, size INTEGER NOT NULL,
        PRIMARY KEY (image, position)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX image_layers_digest ON image_layers(digest);
      CREATE INDEX image_layers_chain ON image_layers(chain);
      CREATE TABLE image_names (
        name TEXT PRIMARY KEY, repository TEXT NOT NULL, is_digest INTEGER NOT NULL, image TEXT NOT NULL REFERENCES images(id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX image_names_image ON image_names(image);
      CREATE INDEX image_names_repository ON image_names(repository);
      CREATE TABLE compressed_layers (plain TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    `,
  },
  {
    module: "images",
    version: 2,
    sql: `
      CREATE TABLE image_attestations (
        image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, predicate_type TEXT NOT NULL,
        digest TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (image, predicate_type)
      ) STRICT, WITHOUT ROWID;
    `,
  },
];

/** What the collector must keep for images: manifests, configs, layer blobs (and what they were pushed as), attestations, snapshots. */
export const imageRoots: Roots = {
  content: (q) =>
    q
      .all<{ digest: Digest }>(
        `SELECT id AS digest FROM images UNION SELECT manifest FROM images UNION SELECT digest FROM image_layers
         UNION SELECT digest FROM image_attestations
         UNION SELECT c.digest FROM compressed_layers c JOIN image_layers l ON l.digest = c.plain`,
      )
      .map((row) => row.digest),
  snapshots: (q) =>
    q.all<{ snapshot: string }>("SELECT snapshot FROM images WHERE snapshot IS NOT NULL").map((row) => row.snapshot),
};

export interface ImageRow {
  readonly id: Digest;
  readonly manifest: Digest;
  readonly manifest_type: string;
  readonly manifest_size: number;
  /** The decoded config as JSON; the blob of the same digest has the original bytes. */
  readonly config: string;
  readonly parent: Digest | null;
  /** Top snapshot once it is unpacked. */
  readonly snapshot: string | null;
  /** Bytes of all layers, unpacked. */
  readonly size: number;
  /** Milliseconds since 1970, from the config; 0 when it does not say. */
  readonly created: number;
  /** Milliseconds since 1970 of the last time it got a name. */
  readonly tagged: number | null;
}

export interface LayerRow {
  readonly chain: Digest;
  readonly media_type: string;
  readonly digest: Digest;
  readonly blob_size: number;
  /** Bytes of the layer's own files, unpacked. */
  readonly size: number;
}

export interface NameRow {
  /** Canonical: `docker.io/library/nginx:latest`, or with `@sha256:…` when `is_digest`. */
  readonly name: string;
  /** Canonical, without tag and digest. */
  readonly repository: string;
  readonly is_digest: number;
  readonly image: Digest;
}

export function imageIds(q: Query): ReadonlySet<Digest> {
  return new Set(q.all<{ id: Digest }>("SELECT id FROM images").map(({ id }) => id));
}

export function imageById(q: Query, id: string): ImageRow | undefined {
  return q.get<ImageRow>("SELECT * FROM images WHERE id = ?", [id]);
}

/** At most two ids that start with `sha256:` and this many lower-case hexadecimal digits. */
export function idsByPrefix(q: Query, hex: string): Digest[] {
  const sql = "SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2";
  return q.all<{ id: Digest }>(sql, [`sha256:${hex}`, `sha256:${hex}g`]).map((row) => row.id);
}

/** Newest first. */
export function allImages(q: Query): ImageRow[] {
  return q.all<ImageRow>("SELECT * FROM images ORDER BY created DESC, id");
}

export function childrenOf(q: Query, id: Digest): Digest[] {
  return q.all<{ id: Digest }>("SELECT id FROM images WHERE parent = ? ORDER BY id", [id]).map((row) => row.id);
}

export function parents(q: Query): Set<Digest> {
  const rows = q.all<{ parent: Digest }>("SELECT DISTINCT parent FROM images WHERE parent IS NOT NULL");
  return new Set(rows.map((row) => row.parent));
}

/** Bottom first. */
export function layersOf(q: Query, id: Digest): LayerRow[] {
  return q.all<LayerRow>("SELECT * FROM image_layers WHERE image = ? ORDER BY position", [id]);
}

/** True when some image has this blob for this layer: it has been verified. */
export function isLayerBlob(q: Query, layer: { readonly chain: Digest; readonly digest: Digest }): boolean {
  const sql = "SELECT 1 FROM image_layers WHERE chain = ? AND digest = ?";
  return q.get(sql, [layer.chain, layer.digest]) !== undefined;
}

/** Bytes of an image's layers that other images have as well, by image. */
export function sharedSizes(q: Query): Map<Digest, number> {
  const rows = q.all<{ image: Digest; shared: number }>(
    `SELECT image, sum(size) AS shared FROM image_layers
     WHERE chain IN (SELECT chain FROM image_layers GROUP BY chain HAVING count(DISTINCT image) > 1) GROUP BY image`,
  );
  return new Map(rows.map((row) => [row.image, row.shared]));
}

export function imageOfName(q: Query, name: string): Digest | undefined {
  return q.get<{ image: Digest }>("SELECT image FROM image_names WHERE name = ?", [name])?.image;
}

export function namesOf(q: Query, id: Digest): NameRow[] {
  return q.all<NameRow>("SELECT * FROM image_names WHERE image = ? ORDER BY name", [id]);
}

export function namesOfRepository(q: Query, repository: string): NameRow[] {
  return q.all<NameRow>("SELECT * FROM image_names WHERE repository = ? ORDER BY name", [repository]);
}

export function allNames(q: Query): NameRow[] {
  return q.all<NameRow>("SELECT * FROM image_names ORDER BY name");
}

/** Gives the name to an image, taking it from whoever had it. */
export function setName(tx: Tx, row: NameRow): void {
  tx.run("INSERT OR REPLACE INTO image_names VALUES (?, ?, ?, ?)", [
    row.name,
    row.repository,
    row.is_digest,
    row.image,
  ]);
}

export function markTagged(tx: Tx, id: Digest, at: number): void {
  tx.run("UPDATE images SET tagged = ? WHERE id = ?", [at, id]);
}

export function deleteName(tx: Tx, name: string): void {
  tx.run("DELETE FROM image_names WHERE name = ?", [name]);
}

/** Writes the image, or gives an image that is there its new manifest and layer blobs; a known parent stays. */
export function putImage(tx: Tx, row: ImageRow, layers: readonly LayerRow[]): void {
  tx.run(
    `INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, manifest_type = excluded.manifest_type,
       manifest_size = excluded.manifest_size, parent = coalesce(images.parent, excluded.parent),
       snapshot = excluded.snapshot, size = excluded.size`,
    [
      row.id,
      row.manifest,
      row.manifest_type,
      row.manifest_size,
      row.config,
      row.parent,
      row.snapshot,
      row.size,
      row.created,
      row.tagged,
    ],
  );
  tx.run("DELETE FROM image_layers WHERE image = ?", [row.id]);
  for (const [position, layer] of layers.entries()) {
    const { chain, media_type, digest, blob_size, size } = layer;
    tx.run("INSERT INTO image_layers VALUES (?, ?, ?, ?, ?, ?, ?)", [
      row.id,
      position,
      chain,
      media_type,
      digest,
      blob_size,
      size,
    ]);
  }
}

export function setSnapshot(tx: Tx, id: Digest, snapshot: string): void {
  tx.run("UPDATE images SET snapshot = ? WHERE id = ?", [snapshot, id]);
}

export function deleteImage(tx: Tx, id: Digest): void {
  tx.run("DELETE FROM image_names WHERE image = ?", [id]);
  tx.run("DELETE FROM images WHERE id = ?", [id]);
}

export interface AttestationRow {
  /** A URI that says what the predicate is. */
  readonly predicate_type: string;
  /** Of the predicate alone: whom a statement is about depends on where the image goes. */
  readonly digest: Digest;
  readonly size: number;
}

export function attestationsOf(q: Query, id: Digest): AttestationRow[] {
  const sql = "SELECT predicate_type, digest, size FROM image_attestations WHERE image = ? ORDER BY predicate_type";
  return q.all<AttestationRow>(sql, [id]);
}

/** In place of the one of its type. */
export function putAttestation(tx: Tx, id: Digest, { predicate_type, digest, size }: AttestationRow): void {
  tx.run("INSERT OR REPLACE INTO image_attestations VALUES (?, ?, ?, ?)", [id, predicate_type, digest, size]);
}

export function compressedOf(q: Query, plain: Digest): Pick<Descriptor, "digest" | "size"> | undefined {
  return q.get("SELECT digest, size FROM compressed_layers WHERE plain = ?", [plain]);
}

export function setCompressed(tx: Tx, plain: Digest, blob: Pick<Descriptor, "digest" | "size">): void {
  tx.run("INSERT OR REPLACE INTO compressed_layers VALUES (?, ?, ?)", [plain, blob.digest, blob.size]);
  tx.run("DELETE FROM compressed_layers WHERE plain NOT IN (SELECT digest FROM image_layers)");
}

/** Repositories (canonical) that an image with this blob was pulled from or pushed to. */
export function repositoriesWithBlob(q: Query, digest: Digest): string[] {
  const sql = `SELECT DISTINCT n.repository FROM image_names n JOIN image_layers l ON l.image = n.image
    WHERE n.is_digest = 1 AND (l.digest = ?1 OR l.digest IN (SELECT plain FROM compressed_layers WHERE digest = ?1))
    ORDER BY n.repository`;
  return q.all<{ repository: string }>(sql, [digest]).map((row) => row.repository);
}

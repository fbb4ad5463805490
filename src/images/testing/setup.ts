import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ContentStore, contentMigrations, openContent } from "../../content/mod.ts";
import { openDb } from "../../db/mod.ts";
import { createEvents, eventsMigrations } from "../../events/mod.ts";
import { storedEvents } from "../../events/testing/stored.ts";
import { nullLog } from "../../log/mod.ts";
import { chainIds, type Descriptor, digestOf, type ImageRunConfig, mediaTypes, parseReference } from "../../oci/mod.ts";
import type { Images } from "../images.ts";
import { openImages } from "../open.ts";
import { imagesMigrations } from "../table.ts";
import { FakeLayers, fakeCollector, fakeLeases } from "./fakes.ts";

export interface MakeImage {
  readonly layers?: readonly string[];
  readonly run?: ImageRunConfig;
  readonly names?: readonly string[];
  readonly created?: string;
  readonly parent?: `sha256:${string}`;
}

/** Images on fakes in a directory of its own. */
export async function setUp() {
  const directory = mkdtempSync(join(tmpdir(), "berth-images-"));
  const db = openDb(join(directory, "db"), [...eventsMigrations, ...contentMigrations, ...imagesMigrations]);
  const content = await openContent({ db, directory: join(directory, "content") });
  const layers = new FakeLayers(content);
  const events = createEvents(db);
  const collector = fakeCollector({ db, content, layers });
  const parts = {
    db,
    content,
    layers,
    events,
    collector,
    leases: fakeLeases,
    log: nullLog,
    snapshots: { usage: async () => ({ bytes: 100, inodes: 1 }) },
  };
  const images = openImages(parts);
  return {
    ...parts,
    directory,
    images,
    make: (options: MakeImage) => makeImage({ images, content, layers }, options),
    actions: () => storedEvents(events, db).map((event) => `${event.Action} ${event.Actor.Attributes["name"]}`),
    [Symbol.dispose]: () => {
      db[Symbol.dispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Parts {
  readonly images: Images;
  readonly content: ContentStore;
  readonly layers: FakeLayers;
}

async function makeImage({ images, content, layers }: Parts, options: MakeImage) {
  const blobs: Descriptor[] = [];
  for (const text of options.layers ?? ["one"]) {
    const bytes = new TextEncoder().encode(text);
    blobs.push({ mediaType: mediaTypes.layer, digest: await content.put(bytes), size: bytes.length });
  }
  const diffIds = (options.layers ?? ["one"]).map((text) => digestOf(text));
  for (const chain of chainIds(diffIds)) layers.recordChain(chain, `layer/${chain}`);
  return images.register({
    config: {
      os: "linux",
      architecture: "amd64",
      created: options.created ?? "2024-01-01T00:00:00Z",
      ...(options.run && { config: options.run }),
      rootfs: { type: "layers", diff_ids: diffIds },
      history: diffIds.map((_, index) => ({ created_by: `step ${index}` })),
    },
    layers: blobs,
    ...(options.parent && { parent: options.parent }),
    names: (options.names ?? []).map(parseReference),
  });
}

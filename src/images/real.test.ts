import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { contentMigrations, openContent } from "../content/mod.ts";
import { openDb } from "../db/mod.ts";
import { createEvents, eventsMigrations } from "../events/mod.ts";
import { openCollector } from "../gc/mod.ts";
import { createWorkers } from "../host/mod.ts";
import { layersMigrations, openLayers } from "../layers/mod.ts";
import { nullLog } from "../log/mod.ts";
import { digestOf, parseReference } from "../oci/mod.ts";
import { createRegistryClient } from "../registry-client/mod.ts";
import { startRegistry } from "../registry-server/testing/start.suite.ts";
import { openSnapshots, snapshotsMigrations } from "../snapshots/mod.ts";
import { fromBuffer } from "../stream/mod.ts";
import { createTransfer, imagesMigrations, openImages } from "./mod.ts";
import { tarOf } from "./testing/tar.ts";

const workers = createWorkers({ size: 2 });
afterAll(() => workers[Symbol.asyncDispose]());

/** Images on the real content store, snapshots, layers and collector. */
async function engine() {
  const directory = mkdtempSync("/tmp/berth-images-real-");
  const migrations = [
    eventsMigrations,
    contentMigrations,
    snapshotsMigrations,
    layersMigrations,
    imagesMigrations,
  ].flat();
  const db = openDb(join(directory, "db"), migrations);
  const content = await openContent({ db, directory: join(directory, "content") });
  const snapshots = await openSnapshots({ db, directory: join(directory, "snapshots"), workers });
  const layers = openLayers({ db, content, snapshots, workers, log: nullLog });
  const collector = openCollector({ db, content, snapshots, owners: ["images"] });
  const parts = {
    db,
    content,
    snapshots,
    layers,
    collector,
    leases: collector,
    events: createEvents(db),
    log: nullLog,
  };
  const images = openImages(parts);
  const registry = createRegistryClient({ mirrors: [], insecure: [], log: nullLog });
  const transfer = createTransfer({ images, registry });
  const options = { signal: new AbortController().signal, progress: () => undefined };
  const end = () => {
    db[Symbol.dispose]();
    rmSync(directory, { recursive: true });
  };
  return { ...parts, images, transfer, options, [Symbol.dispose]: end };
}

async function archive() {
  const random = new Uint8Array(3 << 20).map((_, at) => (at * 2654435761) >>> 13);
  const lower = await tarOf([
    { name: "kept", content: "kept" },
    { name: "gone", content: "gone" },
    { name: "big", content: random },
  ]);
  const upper = await tarOf([{ name: ".wh.gone" }, { name: "new", content: "new" }]);
  const rootfs = { type: "layers", diff_ids: [digestOf(lower), digestOf(upper)] };
  return tarOf([
    { name: "manifest.json", content: JSON.stringify([{ Config: "c.json", RepoTags: ["app:1"], Layers: ["1", "2"] }]) },
    { name: "1", content: lower },
    { name: "c.json", content: JSON.stringify({ os: "linux", architecture: "amd64", rootfs }) },
    { name: "2", content: upper },
  ]);
}

test("load, push, pull elsewhere, remove: files are there, and then nothing is", async () => {
  await using r = await startRegistry();
  using a = await engine();
  const [image] = await a.transfer.load(fromBuffer(await archive()), a.options);
  if (!image) throw new Error("nothing was loaded");
  const top = await a.images.rootfs(image);
  expect(readFileSync(join(a.snapshots.directory(top ?? ""), "new"), "utf8")).toBe("new");
  const ref = parseReference(`${r.host}/app:1`);
  a.images.tag(image, ref);
  await a.transfer.push(ref, a.options);

  using b = await engine();
  const pulled = await b.transfer.pull(ref, b.options);
  expect(pulled.id).toBe(image.id);
  const chain = b.snapshots.info((await b.images.rootfs(pulled)) ?? "");
  expect(readFileSync(join(b.snapshots.directory(chain?.parent ?? ""), "kept"), "utf8")).toBe("kept");
  expect((await b.images.inspect(pulled.id)).Size).toBeGreaterThan(3 << 20);
  const file = b.snapshots.directory(chain?.parent ?? "");
  const items = await b.images.remove(`${r.host}/app:1`, { force: false, prune: true });
  expect(items.filter((item) => item.Deleted)).toHaveLength(3);
  expect([...b.content.list(), ...b.snapshots.list()]).toEqual([]);
  expect(existsSync(file)).toBe(false);
});

test("a corrupt layer of an archive leaves nothing", async () => {
  using t = await engine();
  const tar = await archive();
  const at = tar.indexOf("kept", tar.indexOf("ustar") + 512);
  tar.write("evil", tar.indexOf("kept", at + 4));
  await expect(t.transfer.load(fromBuffer(tar), t.options)).rejects.toThrow(/sha256:/);
  expect([...t.content.list(), ...t.snapshots.list()]).toEqual([]);
});

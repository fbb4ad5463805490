import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "../../async/mod.ts";
import { contentMigrations, openContent } from "../../content/mod.ts";
import { type Db, openDb } from "../../db/mod.ts";
import { createEvents, eventsMigrations } from "../../events/mod.ts";
import { type Collector, openCollector } from "../../gc/mod.ts";
import { createHost, type Host } from "../../host/mod.ts";
import { type Images, imagesMigrations, openImages } from "../../images/mod.ts";
import { type Layers, layersMigrations, openLayers } from "../../layers/mod.ts";
import { createLog } from "../../log/mod.ts";
import { type Networks, networkMigrations, openNetworks } from "../../network/mod.ts";
import { type ImageRunConfig, parseReference } from "../../oci/mod.ts";
import { hostLimits, openRuntime } from "../../runtime/mod.ts";
import { openSnapshots, type Snapshotter, snapshotsMigrations } from "../../snapshots/mod.ts";
import { openUserNamespaces } from "../../userns/mod.ts";
import { openVolumes, volumesMigrations } from "../../volumes/mod.ts";
import { containersMigrations, openContainers } from "../mod.ts";

const applets =
  "sh true false echo cat sleep ls id env pwd head seq yes kill stty hostname touch rm mkdir dd tail wc test tr printf nc readlink".split(
    " ",
  );

/** A root file system of busybox with a passwd file, an executable that is none, and a directory declared as a volume. */
export async function baseSnapshot(snapshots: Snapshotter, name: string): Promise<void> {
  await snapshots.prepare(`making/${name}`);
  const root = snapshots.directory(`making/${name}`);
  for (const path of ["bin", "etc", "tmp", "data", "home/app", "proc", "dev", "sys"])
    mkdirSync(join(root, path), { recursive: true });
  cpSync("/bin/busybox", join(root, "bin/busybox"));
  chmodSync(join(root, "bin/busybox"), 0o755);
  for (const applet of applets) symlinkSync("busybox", join(root, "bin", applet));
  chmodSync(join(root, "tmp"), 0o1777);
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\napp:x:1001:\nextra:x:2000:app\n");
  writeFileSync(join(root, "data/seed"), "from the image\n");
  writeFileSync(join(root, "bin/plain"), "not a program\n", { mode: 0o644 });
  await snapshots.commit(name, `making/${name}`);
}

/** Two images of the base snapshot; the second declares a volume. */
async function registerImages(images: Images, layers: Layers): Promise<void> {
  const packed = await layers.pack("base");
  layers.recordChain(packed.diffId, "base");
  const runs: Readonly<Record<string, ImageRunConfig>> = {
    busybox: { Cmd: ["sh"], Env: ["A=image", "B=image"], Labels: { from: "image" } },
    volumes: { Cmd: ["sh"], Volumes: { "/data": {} } },
  };
  for (const [name, run] of Object.entries(runs)) {
    await images.register({
      config: {
        ...{ os: "linux", architecture: "amd64", config: run, created: "2024-01-01T00:00:00Z" },
        rootfs: { type: "layers", diff_ids: [packed.diffId] },
        history: [{ created_by: "made for a test" }],
      },
      layers: [packed.blob],
      names: [parseReference(`${name}:latest`)],
    });
  }
}

/** No network at all: a sandbox is the host's namespace. What was opened and closed is counted. */
export class FakeNetworks {
  readonly open = new Set<string>();
  readonly #connected = new Map<string, object>();
  live: ReadonlySet<string> = new Set();
  failure: Error | undefined;

  async openSandbox(holder: string) {
    this.open.add(holder);
    return { path: "/proc/self/ns/net" };
  }

  async closeSandbox(holder: string) {
    this.open.delete(holder);
    this.#connected.delete(holder);
  }

  async connect(networkName: string, { holder }: { holder: string }) {
    if (this.failure) throw this.failure;
    const endpoint = { networkName, address: "10.9.8.7", ports: {}, aliases: [] };
    this.#connected.set(holder, endpoint);
    return endpoint;
  }

  get(name: string) {
    return { Name: name };
  }

  endpoints(holder: string) {
    return [...this.#connected].flatMap(([id, endpoint]) => (id === holder ? [endpoint] : []));
  }

  idOf() {
    return undefined;
  }

  resolver() {
    return undefined;
  }

  hostAddress() {
    return undefined;
  }

  async portWarnings() {
    return [];
  }

  async rename() {
    // nobody asks for names here
  }

  async recover(live: ReadonlySet<string>) {
    this.live = live;
  }
}

export interface Engine {
  readonly containers: Awaited<ReturnType<typeof openContainers>>;
  readonly db: Db;
  readonly events: ReturnType<typeof createEvents>;
  /** What is asked for, unless `realNetworks`. */
  readonly networks: FakeNetworks;
  readonly realNetworks: Networks;
  readonly images: Images;
  readonly collector: Collector;
  readonly host: Host;
  readonly directory: string;
  /** As kill -9 of the daemon and its start would. */
  crash(meanwhile?: (db: Db) => Promise<void>): Promise<Engine>;
  dispose(): Promise<void>;
}

const migrations = [
  ...[...eventsMigrations, ...contentMigrations, ...snapshotsMigrations, ...volumesMigrations],
  ...[...networkMigrations, ...layersMigrations, ...imagesMigrations, ...containersMigrations],
];

export interface EngineOptions {
  readonly directory?: string;
  /** Bridges, addresses and ports as they are; without it containers share the host's network. */
  readonly realNetworks?: boolean;
}

/** The engine below its faces, as the daemon makes it. */
export async function startEngine(options: EngineOptions = {}): Promise<Engine> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), "berth-containers-"));
  const tag = createHash("sha256").update(directory).digest("hex").slice(0, 6);
  const host = createHost({ workers: { entry: new URL("./worker.ts", import.meta.url).href } });
  const db = openDb(join(directory, "db"), migrations);
  const events = createEvents(db);
  const { workers } = host;
  const log = createLog(process.env["BERTH_TEST_LOG"] ? "debug" : "error", (line) => process.stderr.write(line));
  const content = await openContent({ db, directory: join(directory, "content") });
  const snapshots = await openSnapshots({ db, directory: join(directory, "snapshots"), workers });
  const volumes = await openVolumes({ db, directory: join(directory, "volumes"), workers, events });
  const execRoot = join(directory, "exec");
  const networkConfig = { tag, bridge: `br${tag}`, execRoot };
  const fake = new FakeNetworks();
  const networks = options.realNetworks
    ? await openNetworks({ db, host, events, log, threads: workers, config: networkConfig })
    : (fake as unknown as Networks);
  const cgroupParent = `/berth-test-${tag}`;
  const runtime = await openRuntime({ host, log, execRoot, cgroupParent });
  const layers = openLayers({ db, content, snapshots, workers, log });
  const collector = openCollector({ db, content, snapshots, owners: ["images", "containers"] });
  const images = openImages({ db, content, snapshots, layers, leases: collector, collector, events, log });
  if (!snapshots.info("base")) {
    await baseSnapshot(snapshots, "base");
    await registerImages(images, layers);
  }
  const userns = await openUserNamespaces({ host, execRoot });
  const parts = { db, host, events, log, snapshots, volumes, runtime, images, layers, networks, userns, collector };
  const containers = await openContainers({
    ...parts,
    config: {
      ...{ directory: join(directory, "containers"), execRoot, cgroupParent, defaultShmSize: 64 << 20 },
      limits: hostLimits(host, runtime),
      firstRetryDelay: 20,
    },
  });
  await containers.recover();
  const close = async () => {
    await containers.shutdown();
    db[Symbol.dispose]();
    await workers[Symbol.asyncDispose]();
  };
  return {
    ...{ containers, db, events, networks: fake, realNetworks: networks, host, images, collector, directory },
    crash: async (meanwhile) => {
      await containers.shutdown();
      await meanwhile?.(db);
      await close();
      return startEngine({ ...options, directory });
    },
    dispose: async () => {
      for (const { Id } of await everything(containers)) {
        await containers.remove(Id, { force: true, volumes: true, link: false });
      }
      if (options.realNetworks) await networks.shutdown();
      await close();
      host.cgroups.remove(cgroupParent);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function everything(containers: Engine["containers"]) {
  return containers.list({ all: true, limit: 0, size: false, filter: new Map() });
}

/** Polls, since what is waited for has no promise of its own. Throws after 20 seconds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 20) {
    if (await holds()) return;
    await after(20);
  }
  throw new Error(`Waited in vain: ${what}`);
}

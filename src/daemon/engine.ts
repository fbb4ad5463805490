import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { builderMigrations, openBuilder } from "../builder/mod.ts";
import { buildKitMigrations } from "../buildkit/mod.ts";
import { containersMigrations, openContainers } from "../containers/mod.ts";
import { contentMigrations, openContent } from "../content/mod.ts";
import { openDb } from "../db/mod.ts";
import { createEvents, eventsMigrations } from "../events/mod.ts";
import { openCollector } from "../gc/mod.ts";
import { createHost, createWorkers } from "../host/mod.ts";
import { createTransfer, imagesMigrations, openImages } from "../images/mod.ts";
import { layersMigrations, openLayers } from "../layers/mod.ts";
import type { Log } from "../log/mod.ts";
import { networkMigrations, openNetworks } from "../network/mod.ts";
import { defaultPlatform } from "../oci/mod.ts";
import { createRegistryClient } from "../registry-client/mod.ts";
import { hostLimits, openRuntime } from "../runtime/mod.ts";
import { openSnapshots, snapshotsMigrations } from "../snapshots/mod.ts";
import { openUserNamespaces } from "../userns/mod.ts";
import { openVolumes, volumesMigrations } from "../volumes/mod.ts";
import type { DaemonConfig } from "./config.ts";
import { fetchUrl } from "./fetch.ts";

const migrations = [
  ...eventsMigrations,
  ...contentMigrations,
  ...snapshotsMigrations,
  ...volumesMigrations,
  ...networkMigrations,
  ...layersMigrations,
  ...imagesMigrations,
  ...containersMigrations,
  ...builderMigrations,
  ...buildKitMigrations,
];

interface Making {
  readonly config: DaemonConfig;
  readonly log: Log;
  /** Takes down what has been made, last first. */
  readonly undo: AsyncDisposableStack;
}

export type Engine = Awaited<ReturnType<typeof openEngine>>;

/** Every module below the faces, made in layer order: with `start.ts` the only place that knows constructors. Recovers what an earlier daemon left. */
export async function openEngine(config: DaemonConfig, log: Log) {
  await using undo = new AsyncDisposableStack();
  const parts = await openParts({ config, log, undo });
  const stores = openImageStores(parts, config);
  const engines = await openEngines({ ...parts, ...stores }, { config, log, undo });
  await stores.layers.sweep();
  await engines.containers.recover();
  await stores.collector.collect();
  const rest = undo.move();
  return { ...parts, ...stores, ...engines, [Symbol.asyncDispose]: () => rest.disposeAsync() };
}

/** L1 and L2: the ground, and the parts that each own one directory. */
async function openParts({ config, log, undo }: Making) {
  const host = createHost();
  undo.use(host.workers);
  const { workers } = host;
  const db = undo.use(openDb(join(config.dataRoot, "berth.db"), migrations));
  const events = undo.use(createEvents(db));
  const content = await openContent({ db, directory: await below(config, "content") });
  const snapshots = await openSnapshots({ db, directory: await below(config, "snapshots"), workers });
  const mounters = undo.use(createWorkers({ size: 8 }));
  const volumes = await openVolumes({ db, directory: await below(config, "volumes"), workers, mounters, events });
  const threads = undo.use(createWorkers({ size: 1, niceness: 0 }));
  const networks = await openNetworks({ db, host, events, log, threads, config: networkConfig(config) });
  undo.defer(() => networks.shutdown());
  const { execRoot, usernsRemap: remap } = config;
  const userns = await openUserNamespaces({ host, execRoot, ...(remap !== undefined && { remap }) });
  undo.defer(() => userns.shutdown());
  const chosen = config.runtime === "auto" ? {} : { runtime: config.runtime };
  const runtime = await openRuntime({
    host,
    log,
    execRoot,
    cgroupParent: config.cgroupParent,
    ...chosen,
  });
  undo.defer(() => {
    if (host.cgroups.pids(config.cgroupParent).length === 0) host.cgroups.remove(config.cgroupParent);
  });
  return { host, db, events, log, content, snapshots, volumes, networks, userns, runtime };
}

type Parts = Awaited<ReturnType<typeof openParts>>;

/** L3 and L4: layers, garbage, images and moving them. */
function openImageStores(parts: Parts, config: DaemonConfig) {
  const { db, content, snapshots, log } = parts;
  const { workers } = parts.host;
  const registry = createRegistryClient({ mirrors: config.registryMirrors, insecure: config.insecureRegistries, log });
  const layers = openLayers({ db, content, snapshots, workers, log });
  const collector = openCollector({ db, content, snapshots, owners: ["images", "containers", "builder"] });
  const leases = collector;
  const images = openImages({ ...parts, layers, leases, collector });
  const transfer = createTransfer({ images, registry });
  return { registry, layers, collector, leases, images, transfer };
}

/** L5: what runs processes. */
async function openEngines(below5: Parts & ReturnType<typeof openImageStores>, { config, undo }: Making) {
  const limits = hostLimits(below5.host, below5.runtime);
  const { execRoot, cgroupParent } = config;
  const [hostGateway] = config.containers.hostGateways ?? [];
  const containers = await openContainers({
    ...below5,
    config: {
      directory: await below(config, "containers"),
      ...{ execRoot, cgroupParent, limits },
      defaultShmSize: config.containers.shmSize,
      defaults: config.containers,
      logDefaults: config.logDefaults,
    },
  });
  undo.defer(() => containers.shutdown());
  const builder = await openBuilder({
    ...below5,
    config: {
      directory: await below(config, "builds"),
      execRoot,
      limits,
      cgroupParent,
      platform: defaultPlatform(),
      dns: config.containers.dns ?? [],
      cacheSize: config.buildCacheSize,
      ...(hostGateway !== undefined && { hostGateway }),
      fetchUrl,
    },
  });
  return { limits, containers, builder };
}

function networkConfig({ tag, bridge, execRoot, subnet, addressPools: pools }: DaemonConfig) {
  return { tag, bridge, execRoot, ...(subnet !== undefined && { subnet }), ...(pools !== undefined && { pools }) };
}

async function below({ dataRoot }: DaemonConfig, name: string): Promise<string> {
  const directory = join(dataRoot, name);
  await mkdir(directory, { recursive: true, mode: 0o711 });
  return directory;
}

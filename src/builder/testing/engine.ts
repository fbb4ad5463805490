/** A builder on real stores, with processes and networks that are functions of the test. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contentMigrations, openContent } from "../../content/mod.ts";
import { openDb } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { createEvents, eventsMigrations } from "../../events/mod.ts";
import { openCollector } from "../../gc/mod.ts";
import { createCgroups, createHost, removeTree } from "../../host/mod.ts";
import { createTransfer, type ImageTransfer, imagesMigrations, openImages } from "../../images/mod.ts";
import { layersMigrations, openLayers } from "../../layers/mod.ts";
import { nullLog } from "../../log/mod.ts";
import type { Networks } from "../../network/mod.ts";
import { chainIds, digestOf, type ImageRunConfig, mediaTypes, parseReference } from "../../oci/mod.ts";
import type { RegistryClient } from "../../registry-client/mod.ts";
import type { Bundle, Runtime } from "../../runtime/mod.ts";
import { openSnapshots, snapshotsMigrations } from "../../snapshots/mod.ts";
import { openUserNamespaces } from "../../userns/mod.ts";
import type { ProgressMessage } from "../../wire/mod.ts";
import type { BuildOptions } from "../builder.ts";
import type { BuilderConfig, Fetched } from "../context.ts";
import { builderMigrations, openBuilder } from "../mod.ts";
import { memoryRegistry } from "./registry.ts";

/** What a RUN does: gets the root file system and the bundle, returns the exit status. */
export type Process = (root: string, bundle: Bundle) => number | Promise<number>;

export interface EngineOptions {
  readonly process: Process;
  readonly fetchUrl?: (url: string) => Fetched;
  readonly registry?: RegistryClient;
}

export async function openEngine({ process: body, fetchUrl, registry = memoryRegistry().client }: EngineOptions) {
  const directory = mkdtempSync(join(tmpdir(), "berth-builder-"));
  const migrations = [
    eventsMigrations,
    contentMigrations,
    snapshotsMigrations,
    layersMigrations,
    imagesMigrations,
    builderMigrations,
  ];
  const db = openDb(join(directory, "db"), migrations.flat());
  const host = createHost({ workers: { size: 2 } });
  const { workers } = host;
  const events = createEvents(db);
  const content = await openContent({ db, directory: join(directory, "content") });
  const snapshots = await openSnapshots({ db, directory: join(directory, "snapshots"), workers });
  const log = nullLog;
  const layers = openLayers({ db, content, snapshots, workers, log });
  const collector = openCollector({ db, content, snapshots, owners: ["images", "builder"] });
  const images = openImages({ db, content, snapshots, layers, leases: collector, collector, events, log });
  const networks = fakeNetworks();
  const userns = await openUserNamespaces({ host, execRoot: join(directory, "exec") });
  const parts = {
    db,
    host,
    log,
    content,
    snapshots,
    layers,
    images,
    events,
    collector,
    leases: collector,
    networks: networks.networks,
    userns,
  };
  const config = configOf(directory, fetchUrl);
  const transfer = fakeTransfer(images, registry);
  const open = () => openBuilder({ ...parts, transfer, registry, runtime: fakeRuntime(body), config });
  const builder = await open();
  return {
    ...parts,
    directory,
    builder,
    opened: networks.opened,
    open: async () =>
      openBuilder({
        ...parts,
        collector: { ...collector, register: () => undefined },
        transfer,
        registry,
        runtime: fakeRuntime(body),
        config,
      }),
    image: (name: string, options: NewTestImage) => makeImage({ ...parts, name }, options),
    context: (files: Readonly<Record<string, string>>) => makeContext(join(directory, "builds", "contexts"), files),
    [Symbol.asyncDispose]: async () => {
      db[Symbol.dispose]();
      await workers.run(removeTree, { path: directory });
      await workers[Symbol.asyncDispose]();
    },
  };
}

function configOf(directory: string, fetchUrl: EngineOptions["fetchUrl"]): BuilderConfig {
  return {
    directory: join(directory, "builds"),
    execRoot: join(directory, "exec"),
    limits: {
      capabilities: new Set(),
      rlimits: new Map(),
      oomScoreAdj: 0,
      cgroupVersion: "v2",
      apparmor: false,
      selinux: false,
      runtime: "crun",
      kernel: "6.1.0",
      machine: "x64",
      controls: createCgroups("/nonexistent").controls,
    },
    cgroupParent: "/berth-test",
    platform: { os: "linux", architecture: "amd64" },
    dns: [],
    cacheSize: 0,
    fetchUrl: async (url) => fetchUrl?.(url) ?? missing(url),
  };
}

export type TestEngine = Awaited<ReturnType<typeof openEngine>>;

function missing(url: string): never {
  throw new EngineError("unavailable", `no route to ${url}`);
}

function fakeRuntime(body: Process): Runtime {
  const runOnce: Runtime["runOnce"] = async (bundle) => body(bundle.spec.root.path, bundle);
  return { runOnce } as Partial<Runtime> as Runtime;
}

function fakeNetworks() {
  const opened: string[] = [];
  const connect: Networks["connect"] = async (name) => {
    opened.push(`connect ${name}`);
    return { address: "10.0.0.2" } as Awaited<ReturnType<Networks["connect"]>>;
  };
  const networks: Partial<Networks> = {
    resolver: () => undefined,
    openSandbox: async () => {
      opened.push("open");
      return { path: "/run/netns/x" };
    },
    hostAddress: () => "10.0.0.1",
    closeSandbox: async () => void opened.push("close"),
    connect,
  };
  return { networks: networks as Networks, opened };
}

/** Without pulling. */
function fakeTransfer(images: ReturnType<typeof openImages>, registry: RegistryClient): ImageTransfer {
  const pull = async (ref: { path: string }) => {
    throw new EngineError("not-found", `manifest for ${ref.path} not found: manifest unknown`);
  };
  return { ...createTransfer({ images, registry }), pull };
}

interface NewTestImage {
  readonly tar: Uint8Array;
  readonly run?: ImageRunConfig;
}

interface Parts {
  readonly content: Awaited<ReturnType<typeof openContent>>;
  readonly images: ReturnType<typeof openImages>;
  readonly name: string;
}

async function makeImage({ content, images, name }: Parts, { tar, run }: NewTestImage) {
  const blob = { mediaType: mediaTypes.layer, digest: await content.put(tar), size: tar.length };
  const diffId = digestOf(tar);
  return images.register({
    config: {
      os: "linux",
      architecture: "amd64",
      created: "2024-01-01T00:00:00.000Z",
      ...(run && { config: run }),
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created_by: `files of ${chainIds([diffId])[0]}` }],
    },
    layers: [blob],
    names: [parseReference(name)],
  });
}

let contexts = 0;

function makeContext(parent: string, files: Readonly<Record<string, string>>) {
  const directory = join(parent, `c${contexts++}`);
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(directory, name, ".."), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  return { directory, dockerfile: "Dockerfile" };
}

export function buildOptions(more: Partial<BuildOptions> = {}): BuildOptions & { readonly said: ProgressMessage[] } {
  const said: ProgressMessage[] = [];
  return {
    tags: [],
    args: {},
    labels: {},
    noCache: false,
    pull: false,
    explain: false,
    steps: false,
    inlineCache: false,
    attest: { sbom: false },
    squash: false,
    keepFailed: false,
    quiet: false,
    networkMode: "",
    extraHosts: [],
    cacheFrom: [],
    cacheImports: [],
    cacheExports: [],
    shmSize: 0,
    ulimits: [],
    resources: { memory: 0, memorySwap: 0, cpuShares: 0, cpuQuota: 0, cpuPeriod: 0, cpusetCpus: "", cpusetMems: "" },
    registryAuth: {},
    progress: (message) => said.push(message),
    signal: new AbortController().signal,
    said,
    ...more,
  };
}

import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "../../async/mod.ts";
import { type Db, openDb } from "../../db/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { createEvents, eventsMigrations } from "../../events/mod.ts";
import { createHost, type Host } from "../../host/mod.ts";
import type { Image, Images } from "../../images/mod.ts";
import type { Layers } from "../../layers/mod.ts";
import { createLog } from "../../log/mod.ts";
import type { Networks } from "../../network/mod.ts";
import type { ImageRunConfig } from "../../oci/mod.ts";
import { hostLimits, openRuntime } from "../../runtime/mod.ts";
import { openSnapshots, type Snapshotter, snapshotsMigrations } from "../../snapshots/mod.ts";
import { openVolumes, volumesMigrations } from "../../volumes/mod.ts";
import { containersMigrations, openContainers } from "../mod.ts";

const applets =
  "sh true false echo cat sleep ls id env pwd head seq yes kill stty hostname touch rm mkdir dd tail wc test tr printf".split(
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

/** Images that are one snapshot each; names are given. */
function fakeImages(images: ReadonlyMap<string, Image>): Images {
  const find = (ref: string) => images.get(ref) ?? [...images.values()].find((image) => image.id === ref);
  const get = (ref: string) => {
    const image = find(ref);
    if (!image) throw new EngineError("not-found", `No such image: ${ref}`);
    return image;
  };
  return { find, get, rootfs: async () => "base", layers: () => [], onUse: () => undefined } as unknown as Images;
}

/** No network at all: a sandbox is the host's namespace. What was opened and closed is counted. */
export class FakeNetworks {
  readonly open = new Set<string>();
  live: ReadonlySet<string> = new Set();
  failure: Error | undefined;

  async openSandbox(holder: string) {
    this.open.add(holder);
    return { path: "/proc/self/ns/net" };
  }

  async closeSandbox(holder: string) {
    this.open.delete(holder);
  }

  async connect() {
    if (this.failure) throw this.failure;
    return { address: "10.9.8.7", ports: {} };
  }

  endpoints() {
    return [];
  }

  list() {
    return [];
  }

  async recover(live: ReadonlySet<string>) {
    this.live = live;
  }
}

export interface Engine {
  readonly containers: Awaited<ReturnType<typeof openContainers>>;
  readonly db: Db;
  readonly events: ReturnType<typeof createEvents>;
  readonly networks: FakeNetworks;
  readonly host: Host;
  readonly directory: string;
  /** As kill -9 of the daemon and its start would. */
  crash(meanwhile?: (db: Db) => Promise<void>): Promise<Engine>;
  dispose(): Promise<void>;
}

const digest = (digit: string) => `sha256:${digit.repeat(64)}` as const;

export async function startEngine(directory = mkdtempSync(join(tmpdir(), "berth-containers-"))): Promise<Engine> {
  const host = createHost({});
  const migrations = [...eventsMigrations, ...snapshotsMigrations, ...volumesMigrations, ...containersMigrations];
  const db = openDb(join(directory, "db"), migrations);
  const events = createEvents(db);
  const { workers } = host;
  const snapshots = await openSnapshots({ db, directory: join(directory, "snapshots"), workers });
  if (!snapshots.info("base")) await baseSnapshot(snapshots, "base");
  const volumes = await openVolumes({ db, directory: join(directory, "volumes"), workers, events });
  const log = createLog(process.env["BERTH_TEST_LOG"] ? "debug" : "error", (line) => process.stderr.write(line));
  const tag = directory.slice(-6);
  const execRoot = join(directory, "exec");
  const cgroupParent = `/berth-test-${tag}`;
  const runtime = await openRuntime({ host, log, execRoot, cgroupParent });
  const networks = new FakeNetworks();
  const image = (id: string, run: ImageRunConfig): Image => ({
    id: digest(id),
    config: { os: "linux", architecture: "amd64", config: run, rootfs: { type: "layers", diff_ids: [] } },
    run,
    names: [],
  });
  const images = fakeImages(
    new Map([
      ["busybox", image("a", { Cmd: ["sh"], Env: ["A=image", "B=image"], Labels: { from: "image" } })],
      ["volumes", image("b", { Cmd: ["sh"], Volumes: { "/data": {} } })],
    ]),
  );
  const parts = { db, host, events, log, snapshots, volumes, runtime, images };
  const containers = await openContainers({
    ...parts,
    layers: {} as Layers,
    networks: networks as unknown as Networks,
    collector: { register: () => undefined, hold: (body) => body() },
    config: {
      directory: join(directory, "containers"),
      execRoot,
      cgroupParent,
      defaultShmSize: 64 << 20,
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
    ...{ containers, db, events, networks, host, directory },
    crash: async (meanwhile) => {
      await containers.shutdown();
      await meanwhile?.(db);
      await close();
      return startEngine(directory);
    },
    dispose: async () => {
      for (const { Id } of await everything(containers)) {
        await containers.remove(Id, { force: true, volumes: true, link: false });
      }
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

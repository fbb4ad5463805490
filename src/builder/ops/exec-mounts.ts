import { randomBytes } from "node:crypto";
import { access, chmod, chown, copyFile, mkdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import type { IdMap, Mount } from "../../host/mod.ts";
import { rootOf, type StagedMount } from "../../userns/mod.ts";
import type { Planned } from "../context.ts";
import type { ExecMount, ExecOp } from "../graph/vertex.ts";
import type { BuildRoot } from "../root.ts";
import { mountDirectory } from "../table.ts";
import { cacheId, fillCache } from "./cache-base.ts";
import { type FromSession, secretMount, sshMount } from "./exec-session.ts";
import { selectFiles } from "./select.ts";

export type StepMount = StagedMount & { readonly destination: string };

export interface MountsOptions {
  readonly op: ExecOp;
  readonly root: BuildRoot;
  /** Takes down what the mounts need on the host. */
  readonly undo: AsyncDisposableStack;
}

export function readsContext(op: ExecOp): boolean {
  return op.mounts.some((mount) => mount.type === "bind" && mount.from === undefined);
}

/** What of the mounts decides the result: contents of binds and of what a cache begins with; of other caches, secrets and agents only that they are asked for. */
export function mountKeys(planned: Planned, op: ExecOp): Promise<unknown[]> {
  return Promise.all(
    op.mounts.map(async (mount) => {
      const { type, target, readonly, id, required, env } = mount;
      if (type !== "bind" && !(type === "cache" && mount.from !== undefined)) {
        return [type, target, id, required, ...(env === undefined ? [] : [env])];
      }
      return [type, target, readonly, await contentKey(planned, mount)];
    }),
  );
}

async function contentKey(planned: Planned, mount: ExecMount): Promise<string> {
  const where = mount.from === undefined ? "context" : "stage";
  const place = mount.from === undefined ? planned.build.files.place : { root: await bindRoot(planned, mount) };
  const source = (mount.source || ".").replace(/[*?[\]\\]/g, "\\$&");
  const input = { ...place, sources: [source], exclude: [], deep: false, where, keyword: "RUN --mount" } as const;
  return (await selectFiles(planned.build, input)).digest;
}

async function bindRoot({ build, inputs }: Planned, mount: ExecMount, map?: IdMap): Promise<string> {
  if (mount.from === undefined) return build.files.directory();
  return build.views.path(mount.input && inputs.get(mount.input)?.snapshot, map);
}

export interface StepMounts {
  /** In the order of the instruction. */
  readonly mounts: readonly StepMount[];
  /** Variables that the mounts bring, seen by the process alone. */
  readonly env: readonly string[];
}

export async function execMounts(planned: Planned, options: MountsOptions): Promise<StepMounts> {
  const mounts: StepMount[] = [];
  const env: string[] = [];
  for (const [index, mount] of options.op.mounts.entries()) {
    const made = await execMount(planned, { ...options, mount, index });
    if (made.env !== undefined) env.push(made.env);
    if (!made.mount) continue;
    const destination = mount.target || agentSocket(mount, options.op);
    mounts.push({ ...made.mount, destination });
    if (mount.type === "ssh" && !env.some((one) => one.startsWith("SSH_AUTH_SOCK="))) {
      env.push(`SSH_AUTH_SOCK=${destination}`);
    }
  }
  return { mounts, env };
}

/** Where an agent's socket is that has no target: by its number among the instruction's agents. */
function agentSocket(mount: ExecMount, { mounts }: ExecOp): string {
  return `/run/buildkit/ssh_agent.${mounts.filter(({ type }) => type === "ssh").indexOf(mount)}`;
}

/** Whether only this build's own client can give the step what it needs. */
export function readsSession(op: ExecOp): boolean {
  return op.mounts.some(({ type }) => type === "secret" || type === "ssh");
}

interface OneMount extends MountsOptions {
  readonly mount: ExecMount;
  readonly index: number;
}

async function execMount(planned: Planned, one: OneMount): Promise<FromSession> {
  const { mount } = one;
  switch (mount.type) {
    case "bind":
      return { mount: await bindMount(planned, one) };
    case "cache":
      return { mount: await cacheMount(planned, one) };
    case "tmpfs":
      return { mount: tmpfs(mount) };
    case "secret":
      return secretMount(planned, one);
    case "ssh":
      return sshMount(planned, one);
    default:
      return mount.type satisfies never;
  }
}

function tmpfs({ size }: ExecMount): Mount {
  const options = ["nosuid", "nodev", ...(size === undefined ? [] : [`size=${size}`])];
  return { type: "tmpfs", source: "tmpfs", options };
}

/** A stage's files show the owners that they have in the step's user namespace anyway, the context's are yet to. */
async function bindMount(planned: Planned, one: OneMount): Promise<StagedMount> {
  const { host } = planned.build.context;
  const root = await bindRoot(planned, one.mount, one.root.users?.map);
  const owned = one.mount.from === undefined;
  const source = host.rooted(root).resolve(one.mount.source || "/");
  if (source === undefined) throw new EngineError("not-found", `failed to mount ${one.mount.source}: not found`);
  if (one.mount.readonly) return { type: "bind", source, options: ["bind", "ro"], owned };
  return { type: "bind", options: ["bind", "rw"], ...(await scratchCopy(planned, { ...one, source, owned })) };
}

/** What is written into a writable bind is thrown away: a directory gets an overlay, a file is copied. */
async function scratchCopy(
  { build }: Planned,
  one: OneMount & { readonly source: string; readonly owned: boolean },
): Promise<Pick<StagedMount, "owned"> & { source: string }> {
  const { host, userns } = build.context;
  const { mounts } = host;
  const map = one.root.users?.map;
  const directory = join(one.root.directory, `bind${one.index}`);
  await mkdir(directory, { mode: 0o700 });
  if (!(await stat(one.source)).isDirectory()) {
    const file = join(directory, basename(one.source));
    await copyFile(one.source, file);
    return { source: file, owned: true };
  }
  const [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map((name) => join(directory, name));
  for (const path of [lower, upper, work, merged]) if (path) await mkdir(path, { mode: 0o755 });
  if (!lower || !upper || !merged) throw new TypeError("no directories");
  if (map) await chown(upper, rootOf(map).uid, rootOf(map).gid);
  if (map && one.owned) await userns.show(one.source, lower, map);
  else mounts.mount({ type: "bind", source: one.source, options: ["bind"] }, lower);
  one.undo.defer(() => mounts.unmount(lower, "detach"));
  const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
  mounts.mount({ type: "overlay", source: "overlay", options }, merged);
  one.undo.defer(() => mounts.unmount(merged, "detach"));
  return { source: merged, owned: false };
}

/** A directory that outlives the build. "locked" and "private" ones are used by one step at a time. */
async function cacheMount(planned: Planned, one: OneMount): Promise<StagedMount> {
  const { mount, undo } = one;
  const { context, signal } = planned.build;
  const id = cacheId(planned, mount);
  if (mount.sharing !== "shared") await lock(planned, { id, undo });
  const name = randomBytes(12).toString("hex");
  const directory = context.db.write((tx) => mountDirectory(tx, id, { directory: name, used: Date.now() }));
  signal.throwIfAborted();
  const source = join(context.config.directory, "mounts", directory);
  const make = () => (mount.from === undefined ? made(source) : filled(planned, { mount, directory: source }));
  if (await context.mountLocks.run(`\0${id}`, make, signal)) {
    await chown(source, mount.uid, mount.gid);
    await chmod(source, mount.mode ?? 0o755);
  }
  return { type: "bind", source, options: ["bind", mount.readonly ? "ro" : "rw"], owned: true };
}

async function filled(planned: Planned, cache: { mount: ExecMount; directory: string }): Promise<boolean> {
  const there = await access(cache.directory).then(
    () => true,
    () => false,
  );
  if (!there) await fillCache(planned, cache);
  return !there;
}

async function made(path: string): Promise<boolean> {
  return (await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined;
}

/** Holds the mount's lock until the step is over. */
async function lock({ build }: Planned, { id, undo }: { id: string; undo: AsyncDisposableStack }): Promise<void> {
  const { promise: over, resolve: release } = Promise.withResolvers<void>();
  const { promise: held, resolve: got } = Promise.withResolvers<void>();
  const body = () => {
    got();
    return over;
  };
  const waiting = build.context.mountLocks.run(id, body, build.signal);
  await Promise.race([held, waiting]);
  undo.defer(release);
}

import { chmod, chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { type Owner, outsideId } from "../../host/mod.ts";
import type { StagedMount } from "../../userns/mod.ts";
import type { Planned } from "../context.ts";
import type { ExecMount } from "../graph/vertex.ts";
import type { BuildRoot } from "../root.ts";
import { agentSocket } from "./agent-socket.ts";

/** As many bytes as BuildKit takes (session/secrets, `MaxSecretSize`). */
const largestSecret = 500 * 1024;

export interface SessionMount {
  readonly mount: ExecMount;
  readonly root: BuildRoot;
  readonly undo: AsyncDisposableStack;
  /** Tells the step's mounts apart. */
  readonly index: number;
}

/** What a mount from the client's session comes to: a mount for the runtime, a variable (`NAME=value`), both, or neither. */
export interface FromSession {
  readonly mount?: StagedMount;
  readonly env?: string;
}

/** A secret as a file in memory, as a variable, or as both. One that is not required may be missing. */
export async function secretMount(planned: Planned, one: SessionMount): Promise<FromSession> {
  const { id, required, target, env } = one.mount;
  const { options, signal } = planned.build;
  const value = await options.session?.secret(id, signal);
  if (value === undefined) {
    if (required) throw new EngineError("invalid", `secret ${id}: not found`);
    return env === undefined ? {} : { env: `${env}=` };
  }
  if (value.length > largestSecret) throw new EngineError("invalid", `secret ${id} is larger than 500 KiB`);
  return {
    ...(env !== undefined && { env: variable({ env, id, value }) }),
    ...(target !== "" && { mount: await secretFile(planned, { ...one, value }) }),
  };
}

function variable({ env, id, value }: { env: string; id: string; value: Uint8Array }): string {
  if (value.includes(0)) throw new EngineError("invalid", `secret ${id} holds a zero byte: it cannot be a variable`);
  return `${env}=${Buffer.from(value).toString("utf8")}`;
}

async function secretFile(planned: Planned, one: SessionMount & { readonly value: Uint8Array }): Promise<StagedMount> {
  const { mounts } = planned.build.context.host;
  const directory = join(one.root.directory, `secret${one.index}`);
  await mkdir(directory, { mode: 0o700 });
  mounts.mount({ type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "noexec", "size=1m"] }, directory);
  one.undo.defer(() => mounts.unmount(directory, "detach"));
  const source = join(directory, "secret");
  await writeFile(source, one.value, { mode: 0o600 });
  await give(source, { ...one, mode: 0o400 });
  return { type: "bind", source, options: ["bind", "ro", "nosuid", "nodev", "noexec"] };
}

/** A socket on which the step reaches the client's ssh agent. One that is not required may be missing. */
export async function sshMount(planned: Planned, one: SessionMount): Promise<FromSession> {
  const { id, required } = one.mount;
  const { options, signal } = planned.build;
  const { session } = options;
  if (!session || !(await session.hasAgent(id, signal))) {
    if (required) throw new EngineError("invalid", `unset ssh forward key ${id}`);
    return {};
  }
  const { directory } = one.root;
  const owner = ownerOf(one.mount, one.root);
  const socket = { session, id, directory, name: `ssh${one.index}`, owner, mode: one.mount.mode ?? 0o600 };
  const source = await agentSocket({ ...socket, signal, undo: one.undo });
  return { mount: { type: "bind", source, options: ["bind", "rw"] } };
}

/** Its owner is the one that the instruction names, as the step sees users. */
async function give(path: string, { mount, root, mode }: SessionMount & { readonly mode: number }): Promise<void> {
  const { uid, gid } = ownerOf(mount, root);
  await chmod(path, mount.mode ?? mode);
  await chown(path, uid, gid);
}

function ownerOf({ uid, gid }: ExecMount, { users }: BuildRoot): Owner {
  if (!users) return { uid, gid };
  const outside = { uid: outsideId(users.map.uids, uid), gid: outsideId(users.map.gids, gid) };
  if (outside.uid !== undefined && outside.gid !== undefined) return { uid: outside.uid, gid: outside.gid };
  throw new EngineError("invalid", `user ${uid}:${gid} has no place in the step's user namespace`);
}

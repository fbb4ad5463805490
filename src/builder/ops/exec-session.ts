import { chmod, chown, mkdir, open, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { basename, join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { type Owner, outsideId } from "../../host/mod.ts";
import type { StagedMount } from "../../userns/mod.ts";
import type { Planned } from "../context.ts";
import type { ExecMount } from "../graph/vertex.ts";
import type { BuildRoot } from "../root.ts";

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
    return {};
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
  const source = join(one.root.directory, `ssh${one.index}`);
  const stop = new AbortController();
  one.undo.defer(() => stop.abort());
  const over = AbortSignal.any([stop.signal, signal]);
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void forward(socket, session.agent(id, socket, over)).catch(() => socket.destroy());
    over.addEventListener("abort", () => socket.destroy(), { once: true });
  });
  const parent = await open(one.root.directory);
  one.undo.use(parent);
  // By the directory's descriptor: a socket's path has 107 bytes at most (unix(7)), a data root may have more.
  await listening(server, `/proc/self/fd/${parent.fd}/${basename(source)}`);
  one.undo.defer(() => void server.close());
  await give(source, { ...one, mode: 0o600 });
  return { mount: { type: "bind", source, options: ["bind", "rw"] } };
}

async function forward(socket: Socket, answers: AsyncIterable<Uint8Array>): Promise<void> {
  socket.on("error", () => undefined); // its other half sees that it is gone
  for await (const piece of answers) {
    if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
  }
  socket.end();
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => server.once("error", reject).listen(path, resolve));
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

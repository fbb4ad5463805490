import { EngineError } from "../errors/mod.ts";
import type { IdMap } from "../host/mod.ts";
import type { UserNamespace } from "../userns/mod.ts";
import type { HostConfig } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { containerIn, joined } from "./modes.ts";
import { resolveOther } from "./refs.ts";
import type { Row } from "./table.ts";
import { isLive } from "./transition.ts";

type Remapping = Pick<Context["userns"], "remapped">;

/**
 * `UsernsMode`, after what docker has ("" and `host`): `private` is a user namespace also where the daemon does not remap,
 * `container:NAME` another container's. Throws "invalid" for anything else, and in Docker's words for what needs the host's.
 */
export function checkUserns({ remapped }: Remapping, host: HostConfig): void {
  const { UsernsMode: mode, NetworkMode, PidMode, IpcMode } = host;
  if (!/^(host|private|container:.+)?$/.test(mode)) {
    const known = "must be empty, host, private or container:NAME";
    throw new EngineError("invalid", `invalid user namespace mode: ${mode}: ${known}`);
  }
  if (mode === "host" || (mode === "" && !remapped)) return;
  const conflicts: Readonly<Record<string, boolean>> = {
    "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when running privileged mode":
      host.Privileged,
    "cannot share the host's network namespace when user namespaces are enabled": NetworkMode === "host",
    "cannot share the host PID namespace when user namespaces are enabled": PidMode === "host",
    "cannot share the host's IPC namespace when user namespaces are enabled": IpcMode === "host",
  };
  for (const [message, conflict] of Object.entries(conflicts)) {
    if (conflict) throw new EngineError("invalid", message);
  }
}

/** With the id of the container that is named, which may be renamed later. */
export function settleUserns({ table }: Pick<Context, "table">, mode: string): string {
  const ref = containerIn(mode);
  return ref === undefined ? mode : `container:${resolveOther(table, ref).id}`;
}

/**
 * The user namespace of a container about to start; undefined is the host's. One whose network, processes or shared memory are
 * another's is in that one's: they belong to it. Throws "conflict" where that cannot be, or for another that does not run.
 */
export async function openUserns(ctx: Context, row: Row): Promise<UserNamespace | undefined> {
  const { UsernsMode: mode } = row.hostConfig;
  if (!hasOwnIds(ctx, row)) return undefined;
  const others = othersOf(ctx, row);
  const ref = containerIn(mode);
  if (ref !== undefined) return shared(ctx, [joined(ctx.table, ref), ...others]);
  const [first] = others;
  if (!first) return ctx.userns.open(row.id);
  if (mode === "private") throw apart(first, "use --userns=container:NAME");
  return shared(ctx, others);
}

function hasOwnIds({ userns }: Pick<Context, "userns">, { hostConfig: { UsernsMode: mode } }: Row): boolean {
  return mode !== "host" && (mode !== "" || userns.remapped);
}

/** Who would be who in a container that does not run, if it did: all namespaces have the same ids. */
export async function futureIdMap(ctx: Pick<Context, "userns">, row: Row): Promise<IdMap | undefined> {
  return hasOwnIds(ctx, row) ? await ctx.userns.map() : undefined;
}

/** Who is who in a running container, where that is not as on the host. */
export function idMapOf(ctx: Pick<Context, "host">, row: Row): IdMap | undefined {
  return isLive(row.phase) && row.pid > 0 ? ctx.host.users.mapOf(row.pid) : undefined;
}

/** Containers whose other namespaces are joined. */
function othersOf(ctx: Context, { hostConfig }: Row): Row[] {
  const modes = [hostConfig.NetworkMode, hostConfig.PidMode, hostConfig.IpcMode];
  const refs = modes.map(containerIn).filter((ref) => ref !== undefined);
  return refs.map((ref) => joined(ctx.table, ref));
}

/** The one that all of them are in. */
function shared(ctx: Context, [first, ...others]: readonly Row[]): UserNamespace | undefined {
  if (!first) return undefined;
  const other = others.find((one) => !ctx.host.users.same(one.pid, first.pid));
  if (other) throw apart(other, "containers whose namespaces are joined must share one");
  const map = ctx.host.users.mapOf(first.pid);
  if (map) return { path: `/proc/${first.pid}/ns/user`, map };
  throw apart(first, "use --userns=host");
}

function apart({ name }: Row, advice: string): EngineError {
  return new EngineError(
    "conflict",
    `cannot join a namespace of container ${name}, which is in another user namespace: ${advice}`,
  );
}

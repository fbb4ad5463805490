import { EngineError } from "../../errors/mod.ts";
import { resolveUser } from "../../rootfs/mod.ts";
import { ociSpec, type ProcessSpec } from "../../runtime/mod.ts";
import type { ExecCreateBody } from "../../wire/mod.ts";
import type { Context } from "../context.ts";
import { environment } from "../env.ts";
import { execEnvironment } from "../links/environment.ts";
import { pathsOf } from "../paths.ts";
import { apparmorOf } from "../security.ts";
import { specInput } from "../spec.ts";
import type { Row } from "../table.ts";

/** An exec joins the namespaces that are there: what the spec would say about them is not read. */
const unused = { pid: "private", ipc: "private", uts: "private", network: "private", cgroup: "private" };

/**
 * The process of an exec: the container's own rights and variables, the user, directory and variables that were asked for.
 * The user is looked up in the container's files as they are now. Throws "invalid" for an unknown user or a bad directory.
 */
export function execProcess(ctx: Context, { row, body }: { row: Row; body: ExecCreateBody }): ProcessSpec {
  const { config, hostConfig } = row;
  if (body.WorkingDir !== "" && !body.WorkingDir.startsWith("/")) {
    throw new EngineError(
      "invalid",
      `the working directory '${body.WorkingDir}' is invalid, it needs to be an absolute path`,
    );
  }
  const root = ctx.host.rooted(pathsOf(ctx.config, row.id).rootfs);
  const user = resolveUser(root, { user: body.User || config.User, groupAdd: hostConfig.GroupAdd ?? [] });
  const plain = { ...row, hostConfig: { ...hostConfig, Devices: null, Links: null, Privileged: false } };
  const base = specInput(ctx, plain, { user, mounts: [], namespaces: unused });
  // The size of the container's own terminal is not this one's: the runtime adds what the exec asked for.
  const { size: _, ...ownProcess } = base.process;
  const spec = ociSpec({
    ...base,
    privileged: hostConfig.Privileged || body.Privileged,
    ...apparmorOf(hostConfig, ctx.config.limits), // an exec's own --privileged changes nothing, as with dockerd
    seccomp: "unconfined", // a filter of its own is inherited from nowhere: the runtime applies the container's to an exec
    process: {
      ...ownProcess,
      args: body.Cmd,
      cwd: body.WorkingDir || config.WorkingDir || "/",
      env: environment({
        config,
        hostname: config.Hostname,
        home: user.home,
        linked: execEnvironment(ctx, row),
        extra: body.Env ?? [],
        tty: body.Tty,
      }),
      terminal: body.Tty,
    },
  });
  return spec.process;
}

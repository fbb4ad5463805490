import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, messageOf } from "../../errors/mod.ts";
import { formatPlatform } from "../../oci/mod.ts";
import { resolveUser } from "../../rootfs/mod.ts";
import { ociSpec } from "../../runtime/mod.ts";
import { rootOf } from "../../userns/mod.ts";
import type { Build, Plan, Planned, Running } from "../context.ts";
import type { ExecOp, Vertex } from "../graph/vertex.ts";
import { stubsJob } from "../jobs/stubs.ts";
import { type BuildRoot, openRoot } from "../root.ts";
import { execMounts, mountKeys, readsContext, readsSession } from "./exec-mounts.ts";
import { openNetwork, type StepNetwork } from "./exec-network.ts";
import { specInput } from "./exec-spec.ts";
import { StepFailure } from "./failure.ts";
import { lookForStubs } from "./stubs.ts";

/** RUN: keyed by the command, what it sees, and the snapshot that it runs on. */
export async function planExec(planned: Planned, op: ExecOp): Promise<Plan> {
  const { args, env, user, cwd, network, script } = op;
  return {
    key: ["exec", { args, env, user, cwd, network, script }, await mountKeys(planned, op)],
    kind: "exec",
    description: `RUN ${args.join(" ")}`,
    shared: !readsContext(op) && !readsSession(op),
    run: (base, signal) =>
      planned.build.context.slots.run(() => run({ ...planned, base, build: { ...planned.build, signal } }, op), signal),
  };
}

async function run(planned: Running, op: ExecOp): Promise<string> {
  const { build, vertex, base } = planned;
  // Ends after the root is gone: a step may have filled the disk, on which no row can be changed.
  await using late = new AsyncDisposableStack();
  await using root = await openRoot(build.context, base?.snapshot, { runs: true, signal: build.signal });
  build.output.note(vertex, ` ---> Running in ${root.id.slice(0, 12)}\n`);
  const stubs = await execute(planned, { op, root, late }).catch(async (err) => {
    const keeps = build.options.keepFailed && err instanceof StepFailure;
    throw keeps ? new StepFailure(err.message, err.code, { vertex, op, snapshot: await root.commit() }) : err;
  });
  root.unmount();
  await build.context.host.workers.run(stubsJob, { ...stubs, upper: root.upper }, { signal: build.signal });
  return await root.commit();
}

interface Execution {
  readonly op: ExecOp;
  readonly root: BuildRoot;
  readonly late: AsyncDisposableStack;
}

/** Runs the process to its end; what it needs besides its root and what is to end late is gone afterwards. */
async function execute(planned: Planned, { op, root, late }: Execution) {
  const { build, vertex } = planned;
  const { host, runtime } = build.context;
  const files = host.rooted(root.path);
  const user = resolveUser(files, op);
  await using undo = new AsyncDisposableStack();
  const mounts = await execMounts(planned, { op, root, undo });
  const network = late.use(await openNetwork(build, { op, root }));
  const script = await scriptMount(op, root);
  const all = [...network.mounts, ...mounts.mounts, ...script];
  const targets = ["/proc", "/sys", "/dev", ...all.map((mount) => mount.destination)];
  const stubs = lookForStubs(
    files,
    targets.filter((target) => !target.startsWith("/dev/")),
  );
  const { users } = root;
  if (op.cwd !== "/") files.mkdirs(op.cwd, users && rootOf(users.map));
  const directory = join(root.directory, "bundle");
  await mkdir(directory, { mode: 0o700 });
  const given = { mountEnv: mounts.env };
  const staged = users ? await build.context.userns.stage(all, users) : all;
  const spec = ociSpec(specInput(build, { op, root, user, mounts: staged, ...given, network: network.namespace }));
  const bundle = { id: `build-${root.id}`, directory, spec, terminal: false, stdin: "none" } as const;
  const output = lineOutput(build, vertex);
  const running = runtime.runOnce(bundle, { ...output, signal: build.signal });
  const code = await running.catch((err) => Promise.reject(foreign(build, messageOf(err)) ?? err));
  build.signal.throwIfAborted();
  if (code !== 0) throw failure(planned, { op, code, said: output.said() });
  return stubs;
}

/** Bytes of output that a step's clients get (BuildKit's BUILDKIT_STEP_LOG_MAX_SIZE): a step may say gigabytes. */
const mostOutput = 2 * 1024 * 1024;
const clipped = "\n[output clipped, log limit 2MiB reached]\n";

/** What to do about a program that the kernel cannot read, which mostly is one for another machine; undefined for what is no such complaint. */
function foreign({ context }: Build, told: string): EngineError | undefined {
  if (!/exec format error/i.test(told)) return undefined;
  const host = formatPlatform(context.config.platform);
  const why = `this host runs programs for ${host}, and others where binfmt_misc has an emulator for them (Debian: qemu-user-static)`;
  return new EngineError("invalid", `${told}: ${why}`);
}

/** Whole characters only: a UTF-8 sequence may be cut between two pieces. */
function lineOutput(build: Build, vertex: Vertex) {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  let left = mostOutput;
  let last = "";
  return {
    /** The last words on stderr. */
    said: () => last,
    onOutput: (stream: "stdout" | "stderr", bytes: Uint8Array) => {
      if (left < 0) return;
      const text = decoders[stream].decode(bytes.subarray(0, left), { stream: true });
      left -= bytes.length;
      if (stream === "stderr") last = text.slice(-200);
      if (text !== "") build.output.write(vertex, text);
      if (left < 0) build.output.write(vertex, clipped);
    },
  };
}

/** The classic builder's words unless the client has its own; the code goes to the client as well, which exits with it. */
function failure({ build }: Planned, { op, code, said }: { op: ExecOp; code: number; said: string }): StepFailure {
  const command = op.args.join(" ");
  const message =
    build.options.words?.run(command, code) ?? `The command '${command}' returned a non-zero code: ${code}`;
  // crun says it in the step's place, which is gone by then.
  const why = /exec container process `[^`]*`: Exec format error/.test(said) && foreign(build, "exec format error");
  return new StepFailure(why ? `${message} (${why.message})` : message, code);
}

async function scriptMount(op: ExecOp, root: BuildRoot): Promise<StepNetwork["mounts"]> {
  if (!op.script) return [];
  const source = join(root.directory, "script");
  await writeFile(source, op.script.text, { mode: 0o755 });
  return [{ destination: op.script.path, type: "bind", source, options: ["bind", "ro"], owned: true }];
}

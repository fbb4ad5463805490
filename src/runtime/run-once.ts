import { closeSync, constants, existsSync, openSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { EngineError } from "../errors/mod.ts";
import { cgroupOf, hasUserNamespace } from "./create.ts";
import { startError } from "./failure.ts";
import type { Parts } from "./parts.ts";
import { checkedId } from "./paths.ts";
import type { Bundle, RunOnceIo } from "./runtime.ts";
import { lastError } from "./runtime-log.ts";
import { specText } from "./spec.ts";

/**
 * `crun run` with pipes: no monitor, no record, so that `recover` removes what a killed daemon leaves. Throws
 * {@link startError} when the process could not be started, the signal's reason after an abort, which kills.
 */
export async function runOnce(parts: Parts, bundle: Bundle, io: RunOnceIo): Promise<number> {
  const id = checkedId(bundle.id);
  if (bundle.terminal || bundle.stdin !== "none" || bundle.logPath !== undefined) {
    throw new EngineError("not-implemented", "A process without a monitor has no terminal, no stdin and no log");
  }
  io.signal.throwIfAborted();
  await parts.policy.ensure(bundle.spec.process.apparmorProfile);
  const cgroup = cgroupOf(bundle);
  const { cli, filters, state } = parts.runtimes.get();
  const log = join(bundle.directory, "runtime.log");
  await writeFile(join(bundle.directory, "config.json"), specText(filters?.apply(bundle.spec) ?? bundle.spec), {
    mode: 0o600,
  });
  try {
    const code = await run(parts, { bundle, io, log });
    io.signal.throwIfAborted();
    const said = lastError(log);
    if (said !== undefined) throw startError({ said, program: bundle.spec.process.args[0] ?? "", kind: "container" });
    return code;
  } finally {
    if (existsSync(join(state, id))) await cli.run(["delete", "--force", id]);
    parts.host.cgroups.remove(cgroup);
    await Promise.all([log, join(bundle.directory, "config.json")].map((file) => rm(file, { force: true })));
  }
}

interface Running {
  readonly bundle: Bundle;
  readonly io: RunOnceIo;
  /** Where the runtime writes its own errors, apart from the process's. */
  readonly log: string;
}

async function run(parts: Parts, { bundle, io, log }: Running): Promise<number> {
  const { id, directory } = bundle;
  const { cli, filters, state } = parts.runtimes.get();
  const argv = cli.argv("--log", log, "--log-format", "json", "run", "--bundle", directory, id);
  const stdin = hasUserNamespace(bundle) ? emptyFile(directory) : undefined;
  const child = parts.host.processes.spawn(argv, {
    cwd: directory,
    env: {},
    stdio: [stdin ?? "ignore", "pipe", "pipe"],
  });
  if (stdin !== undefined) closeSync(stdin);
  const kill = async () => {
    await cli.run(["delete", "--force", id]);
    child.kill(9); // it may not have made its container yet; what it made since is deleted by the caller
  };
  const abort = () => void kill().catch((err) => parts.log.error("Cannot kill a build step", { id, error: err }));
  io.signal.addEventListener("abort", abort, { once: true });
  try {
    // The compiled filter is there as soon as the process says something, and gone when it has ended.
    const learn = () => filters?.learn(bundle.spec, { paths: { state }, id });
    child.pipes.get(1)?.once("data", learn);
    const outputs = [
      drain(child.pipes.get(1), (bytes) => io.onOutput("stdout", bytes)),
      drain(child.pipes.get(2), (bytes) => io.onOutput("stderr", bytes)),
    ];
    const code = await child.exited;
    if (existsSync(join(state, id))) await cli.run(["delete", "--force", id]);
    await Promise.all(outputs);
    return code;
  } finally {
    io.signal.removeEventListener("abort", abort);
  }
}

/** Instead of the host's /dev/null, which crun would give away, see `ownNull` in monitor.ts. */
function emptyFile(directory: string): number {
  return openSync(join(directory, "null"), constants.O_CREAT | constants.O_TRUNC | constants.O_RDONLY, 0o600);
}

/** Resolves at the end of the stream; its errors are the end too. */
function drain(stream: Readable | undefined, take: (bytes: Uint8Array) => void): Promise<void> {
  return new Promise((resolve) => {
    if (!stream) return resolve();
    stream
      .on("data", take)
      .once("end", resolve)
      .once("close", resolve)
      .once("error", () => resolve());
  });
}

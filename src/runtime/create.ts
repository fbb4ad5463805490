import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, isKind, messageOf } from "../errors/mod.ts";
import { removeMonitorFiles } from "./delete.ts";
import { launch } from "./launch.ts";
import type { Parts } from "./parts.ts";
import { checkedId } from "./paths.ts";
import type { Bundle, ProcessSpec, RuntimeName, Task } from "./runtime.ts";
import { specText } from "./spec.ts";
import type { TaskRecord } from "./tasks.ts";

/** Record, conmon, container; when it fails nothing of it is left. */
export async function create(parts: Parts, bundle: Bundle): Promise<Task> {
  const { name, filters, state } = await parts.runtimes.usable(bundle.runtime);
  await parts.policy.ensure(bundle.spec.process.apparmorProfile);
  const record = recordOf(parts, { bundle, runtime: name });
  const task = await started(parts, { record, bundle }).catch((err: unknown) => {
    if (!isKind(err, "unavailable")) throw err;
    // One conmon in some thousands ends without a word, and nothing of it is left: the next one does not.
    parts.log.warn("A container's monitor has ended before it started anything: it gets another", {
      container: record.id,
      error: messageOf(err),
    });
    return started(parts, { record, bundle });
  });
  filters?.learn(bundle.spec, { paths: { state }, id: record.id });
  return task;
}

/** When it fails, its files and its record are gone. */
async function started(parts: Parts, { record, bundle }: { record: TaskRecord; bundle: Bundle }): Promise<Task> {
  const { terminal, stdin, logPath, journal } = bundle;
  const { filters } = parts.runtimes.get(record.runtime);
  const sized = { ...bundle.spec, process: { ...bundle.spec.process, ...consoleSize(bundle) } };
  const spec = filters?.apply(sized) ?? sized;
  await writeFile(join(bundle.directory, "config.json"), specText(spec), { mode: 0o600 });
  parts.tasks.record(record);
  try {
    return await launch(parts, {
      record,
      program: bundle.spec.process.args[0] ?? "",
      terminal,
      stdin,
      keepsNull: hasUserNamespace(bundle),
      ...(logPath === undefined ? {} : { logPath }),
      ...(journal === undefined ? {} : { journal }),
    });
  } catch (err) {
    await dropContainer(parts, record);
    throw err;
  }
}

/** Whether it says who is who in a namespace of users. */
export function hasUserNamespace({ spec }: Bundle): boolean {
  return spec.linux["uidMappings"] !== undefined;
}

function recordOf(parts: Parts, { bundle, runtime }: { bundle: Bundle; runtime: RuntimeName }): TaskRecord {
  const id = checkedId(bundle.id);
  if (parts.tasks.find(id)) throw new EngineError("conflict", `Container ${id} is there already`);
  const cgroup = cgroupOf(bundle);
  return { id, kind: "container", containerId: id, directory: bundle.directory, runtime, cgroup };
}

/** Throws "invalid" when the spec names no cgroup: the runtime would choose one that nobody knows. */
export function cgroupOf(bundle: Bundle): string {
  const cgroup = bundle.spec.linux["cgroupsPath"];
  if (typeof cgroup === "string" && cgroup.startsWith("/")) return cgroup;
  throw new EngineError("invalid", `The spec of ${bundle.id} has no cgroupsPath`);
}

async function dropContainer(parts: Parts, record: TaskRecord): Promise<void> {
  const { cli, state } = parts.runtimes.get(record.runtime);
  if (existsSync(join(state, record.id))) await cli.run(["delete", "--force", record.id]);
  await removeMonitorFiles(parts, record);
  parts.tasks.forget(record.id);
}

/** The runtime's own way to give the first size: conmon would forget one that it reads before the terminal is there. */
export function consoleSize({ terminal, size }: Pick<Bundle, "terminal" | "size">): Pick<ProcessSpec, "consoleSize"> {
  return terminal && size ? { consoleSize: { height: size.rows, width: size.columns } } : {};
}

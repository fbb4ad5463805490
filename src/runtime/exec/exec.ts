import { mkdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors/mod.ts";
import { consoleSize } from "../create.ts";
import type { Parts } from "../parts.ts";
import { checkedId } from "../paths.ts";
import type { ExecRequest, Task } from "../runtime.ts";
import { specText } from "../spec.ts";
import type { TaskRecord } from "../tasks.ts";
import { startDirectly } from "./direct.ts";
import { startMonitored } from "./monitored.ts";

export interface Prepared {
  readonly record: TaskRecord;
  readonly request: ExecRequest;
  /** The OCI process, as the runtime reads it. */
  readonly processFile: string;
}

/**
 * A process in a running container. crun runs it as our own child, which takes 10 ms less than by way of a conmon: an exec is known
 * to this daemon only, so nothing is lost but its streams when the daemon ends. runc gives away a terminal only when it
 * detaches, and needs somebody who waits for the process then: a conmon. When it fails nothing of it is left.
 */
export async function exec(parts: Parts, request: ExecRequest): Promise<Task> {
  const record = recordOf(parts, request);
  try {
    const prepared = { record, request, processFile: prepare(request) };
    parts.tasks.record(record);
    return await (record.runtime === "crun" ? startDirectly(parts, prepared) : startMonitored(parts, prepared));
  } catch (err) {
    parts.tasks.forget(record.id);
    await rm(request.directory, { recursive: true, force: true });
    throw err;
  }
}

function recordOf(parts: Parts, { execId, containerId, directory }: ExecRequest): TaskRecord {
  const id = checkedId(execId);
  if (parts.tasks.find(id)) throw new EngineError("conflict", `Exec ${id} is there already`);
  const { runtime } = parts.tasks.get(checkedId(containerId)).record;
  return { id, kind: "exec", containerId, directory, runtime };
}

/** Without a turn of the event loop: an exec is short, and a small file in memory, as a rule, takes less time than to wait for it. */
function prepare(request: ExecRequest): string {
  const { directory, process, terminal } = request;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, "process.json");
  writeFileSync(file, specText({ ...process, terminal, ...consoleSize(request) }), { mode: 0o600 });
  return file;
}

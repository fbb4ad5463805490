import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { EngineError } from "../../errors/mod.ts";
import { consoleSize } from "../create.ts";
import type { Parts } from "../parts.ts";
import { checkedId } from "../paths.ts";
import type { ExecRequest, ProcessSpec, Task } from "../runtime.ts";
import type { TaskRecord } from "../tasks.ts";
import { startDirectly } from "./direct.ts";
import { startMonitored } from "./monitored.ts";

export interface Prepared {
  readonly record: TaskRecord;
  readonly request: ExecRequest;
  /** With its terminal's size. */
  readonly process: ProcessSpec;
}

/**
 * A process in a running container. crun runs it as our own child, which takes 10 ms less than by way of a conmon: an exec is known
 * to this daemon only, so nothing is lost but its streams when the daemon ends. runc gives away a terminal only when it
 * detaches, and needs somebody who waits for the process then: a conmon. When it fails nothing of it is left.
 */
export async function exec(parts: Parts, request: ExecRequest): Promise<Task> {
  await parts.policy.ensure(request.process.apparmorProfile);
  const record = recordOf(parts, request);
  const { process, terminal } = request;
  const prepared = { record, request, process: { ...process, terminal, ...consoleSize(request) } };
  try {
    parts.tasks.record(record);
    mkdirSync(record.directory, { recursive: true, mode: 0o700 });
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

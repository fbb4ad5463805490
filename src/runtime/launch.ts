import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { startError } from "./failure.ts";
import { type Monitor, type MonitorOptions, silentEnd, spawnMonitor } from "./monitor.ts";
import type { Parts } from "./parts.ts";
import type { Task, TaskStreams } from "./runtime.ts";
import { follow } from "./settle.ts";
import { openStreams } from "./streams.ts";
import type { LiveTask } from "./tasks.ts";

export interface Launch extends MonitorOptions {
  /** args[0], for error messages. */
  readonly program: string;
}

/** How long conmon may take to end after it has reported a failure. */
const failureGrace = 5000;

/** Spawns conmon and waits for the process's pid. Throws {@link startError} with the runtime's reason; conmon has ended then. */
export async function launch(parts: Parts, request: Launch): Promise<Task> {
  const monitor = spawnMonitor(parts, request);
  let streams: TaskStreams | undefined;
  try {
    if (monitor.attached) streams = await attachFirst(parts, { monitor, directory: request.record.directory });
    const pid = await reportedPid(monitor, request);
    const { child } = monitor;
    const done = Promise.resolve();
    const live: LiveTask = { record: request.record, pid, monitorPid: child.pid, settled: done, control: done };
    parts.tasks.add(live);
    follow(
      parts,
      live,
      child.exited.finally(monitor.close).then(() => undefined),
    );
    return { id: request.record.id, pid, monitorPid: child.pid, ...(streams ? { streams } : {}) };
  } catch (err) {
    streams?.[Symbol.dispose]();
    await Promise.race([monitor.child.exited, after(failureGrace).then(() => monitor.child.kill(9))]);
    monitor.close();
    throw err;
  }
}

async function reportedPid(monitor: Monitor, { record, program }: Launch): Promise<number> {
  const report = await monitor.sync.next();
  if (!report) throw await silentEnd(monitor);
  if (report.data > 0) return report.data;
  throw startError({ said: report.message ?? "", program, kind: record.kind });
}

/** conmon says when its socket is there, and starts the process at our second byte: no output is lost. */
async function attachFirst(
  parts: Parts,
  { monitor, directory }: { monitor: Monitor; directory: string },
): Promise<TaskStreams | undefined> {
  monitor.start?.write("1");
  const ready = await monitor.attached?.next();
  if (ready?.data !== 0) return undefined; // the sync pipe says why
  const streams = await openStreams(parts.host, directory);
  if (!streams) throw new EngineError("internal", `Attach to ${directory}: conmon has no socket`);
  monitor.start?.end("2");
  return streams;
}

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch } from "../launch.ts";
import type { Parts } from "../parts.ts";
import type { Task } from "../runtime.ts";
import { writeProcess } from "./child.ts";
import type { Prepared } from "./exec.ts";

/** An exec under a conmon of its own. Throws "invalid" with the runtime's reason. */
export function startMonitored(parts: Parts, { record, request, process }: Prepared): Promise<Task> {
  const { terminal, stdin, attach } = request;
  const processFile = writeProcess(record.directory, process);
  mkdirSync(join(record.directory, "exits"), { mode: 0o700 });
  return launch(parts, {
    record,
    program: request.process.args[0] ?? "",
    terminal,
    stdin: stdin ? "once" : "none",
    exec: { processFile, attach },
  });
}

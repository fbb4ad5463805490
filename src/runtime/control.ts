import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { LiveTask } from "./tasks.ts";

/** conmon 2.1.6 reads two lines that come together wrongly (the first twice, the second never), so they keep a distance. */
const distance = 10;

/** `1 ROWS COLS` resizes the terminal, `2 0 0` reopens the log. Resolves when it was written; the next write waits a little. */
export function control(task: Pick<LiveTask, "record" | "control">, line: string): Promise<void> {
  const written = task.control.then(() => write(task, line));
  task.control = written.then(
    () => after(distance),
    () => undefined,
  );
  return written;
}

/** Opened without waiting for a reader: when conmon is gone that fails. Throws "not-found" then. */
function write(task: Pick<LiveTask, "record">, line: string): void {
  const path = join(task.record.directory, "ctl");
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (err) {
    throw new EngineError("not-found", `No such running task: ${task.record.id}`, { cause: err });
  }
  try {
    writeSync(fd, `${line}\n`);
  } finally {
    closeSync(fd);
  }
}

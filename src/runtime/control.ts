import { closeSync, constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { unreadBytes } from "../host/mod.ts";
import type { LiveTask } from "./tasks.ts";

type Controlled = Pick<LiveTask, "record" | "control">;

/** Between two looks whether conmon has read a line, and how many: it reads within a millisecond unless the machine is busy. */
const pause = 2;
const mostLooks = 500;

/**
 * Sends conmon a line: `1 ROWS COLS` resizes the terminal, `2 0 0` reopens the log. Resolves when it is in the pipe, which
 * conmon may not read before a start; `task.control` resolves when it was read. conmon 2.1.6 takes two lines that it
 * finds together wrongly (the first twice, the second never), so each waits for the one before to have been read.
 */
export function control(task: Controlled, line: string): Promise<void> {
  const written = task.control.then(() => write(task, line));
  task.control = written.then(drained, () => undefined);
  return written.then(() => undefined);
}

/** The same, and waits until conmon has read it. */
export async function controlNow(task: Controlled, line: string): Promise<void> {
  await control(task, line);
  await task.control;
}

/** Opened without waiting for a reader: when conmon is gone that fails. Throws "not-found" then. */
function write(task: Controlled, line: string): number {
  const path = join(task.record.directory, "ctl");
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (err) {
    throw new EngineError("not-found", `No such running task: ${task.record.id}`, { cause: err });
  }
  writeSync(fd, `${line}\n`);
  return fd;
}

async function drained(fd: number): Promise<void> {
  try {
    for (let looks = 0; looks < mostLooks && unreadBytes(fd) > 0; looks++) await after(pause);
  } finally {
    closeSync(fd);
  }
}

import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { unreadBytes } from "../host/mod.ts";
import type { LiveTask } from "./tasks.ts";

type Controlled = Pick<LiveTask, "record" | "control" | "monitorPid">;

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

/**
 * Has conmon open its log anew, if that is still `needed` once it has obeyed whatever it was sent before, also by an earlier
 * daemon: doing it twice would throw away what was written in between. Throws "not-found" when conmon is gone,
 * "unavailable" when it does not get to it.
 */
export async function reopenLog(task: Controlled, needed: () => boolean): Promise<void> {
  const sent = task.control.then(async () => {
    await obeyed(task);
    return needed() ? write(task, "2 0 0") : undefined;
  });
  task.control = sent.then(
    (fd) => (fd === undefined ? undefined : drained(fd)),
    () => undefined,
  );
  await sent;
  await task.control;
}

/** conmon has one thread: when it sleeps, or has written output since it took the last line, it is done with that line. */
async function obeyed({ record, monitorPid }: Controlled): Promise<void> {
  const fd = open(record);
  try {
    let written: string | undefined;
    for (let looks = 0; looks < mostLooks; looks++) {
      if (unreadBytes(fd) === 0) {
        const now = progressOf(monitorPid);
        if (now.sleeps || (written !== undefined && now.written !== written)) return;
        written ??= now.written;
      }
      await after(pause);
    }
  } finally {
    closeSync(fd);
  }
  throw new EngineError("unavailable", `The monitor of ${record.id} does not take commands`);
}

/** proc(5): the state after the program's name in parentheses, and the bytes given to write(2) so far. */
function progressOf(pid: number): { sleeps: boolean; written: string | undefined } {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const sleeps = stat.slice(stat.lastIndexOf(")") + 2).startsWith("S");
    return { sleeps, written: /^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "latin1"))?.[1] };
  } catch (err) {
    throw new EngineError("not-found", `No such process: ${pid}`, { cause: err });
  }
}

/** Opened without waiting for a reader: when conmon is gone that fails. Throws "not-found" then. */
function open(record: LiveTask["record"]): number {
  try {
    return openSync(join(record.directory, "ctl"), constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (err) {
    throw new EngineError("not-found", `No such running task: ${record.id}`, { cause: err });
  }
}

function write({ record }: Controlled, line: string): number {
  const fd = open(record);
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

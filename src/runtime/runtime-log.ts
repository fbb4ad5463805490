import { existsSync, readFileSync } from "node:fs";

/** The message of the last error line of the runtime's JSON log; undefined when it had nothing to complain about. */
export function lastError(log: string): string | undefined {
  const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
  const errors = lines
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as { level: string; msg: string });
  return errors.findLast(({ level }) => level === "error")?.msg;
}

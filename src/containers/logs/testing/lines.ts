import type { Job } from "../../../host/mod.ts";

const start = Date.parse("2026-01-01T00:00:00Z");

/** One record a millisecond. */
export function timeAt(index: number): string {
  return `${new Date(start + index).toISOString().slice(0, -1)}000000Z`;
}

/** As conmon writes it. */
export function line(index: number, { tag = "F", text = `line ${index}`, stream = "stdout" } = {}): string {
  return `${timeAt(index).slice(0, -1)}+00:00 ${stream} ${tag} ${text}\n`;
}

export function linesFrom(first: number, count: number): string {
  return Array.from({ length: count }, (_, index) => line(first + index)).join("");
}

/** Runs a job on this thread. */
export async function runJob<I, O>(job: Job<I, O>, input: I): Promise<O> {
  return job.run(input, { check: () => undefined, report: () => undefined });
}

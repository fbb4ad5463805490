import type { Db } from "../../db/mod.ts";
import type { Workers } from "../../host/mod.ts";
import type { Plan, Solved } from "../context.ts";
import { compareListingsJob } from "../jobs/compare-listings.ts";
import { putStep, type StepRow, stepRows } from "../table.ts";
import { reasons, type StepParts } from "./reasons.ts";

export interface RememberedStep {
  /** The instruction as it stands in the Dockerfile. */
  readonly text: string;
  readonly plan: Plan;
  readonly base: Solved | undefined;
  readonly standsOn: "image" | "step";
}

/** What decided the results of the last steps of each instruction, to tell why one ran again. */
export class StepMemory {
  readonly #db: Db;
  readonly #workers: Workers;

  constructor(db: Db, workers: Workers) {
    this.#db = db;
    this.#workers = workers;
  }

  record(step: RememberedStep): void {
    const { parent, parts } = partsOf(step);
    const row = { text: step.text, parent, parts: JSON.stringify(parts), listing: step.plan.listing ?? null };
    this.#db.write((tx) => putStep(tx, { ...row, used: Date.now() }));
  }

  /** Why it is not in the cache, one short phrase each. */
  async why(step: RememberedStep): Promise<string[]> {
    const now = partsOf(step);
    const row = closest(
      this.#db.read((q) => stepRows(q, step.text)),
      now,
    );
    if (!row) return reasons({ now, standsOn: step.standsOn });
    const before = { parent: row.parent, parts: JSON.parse(row.parts) as StepParts["parts"] };
    const [old, fresh] = [row.listing, step.plan.listing];
    const files = old && fresh ? await this.#workers.run(compareListingsJob, { before: old, now: fresh }) : undefined;
    return reasons({ now, before, standsOn: step.standsOn, ...(files && { files }) });
  }
}

/** The one with most in common; of several the last. */
function closest(rows: readonly StepRow[], now: StepParts): StepRow | undefined {
  let best: { row: StepRow; alike: number } | undefined;
  for (const row of rows) {
    const parts = JSON.parse(row.parts) as StepParts["parts"];
    const same = Object.keys(parts).filter((name) => JSON.stringify(parts[name]) === JSON.stringify(now.parts[name]));
    const alike = same.length + (row.parent === now.parent ? 2 : 0);
    if (!best || alike >= best.alike) best = { row, alike };
  }
  return best?.row;
}

/** A key is its kind, then objects with parts by name, and one list of what is read from elsewhere. */
function partsOf({ plan, base }: RememberedStep): StepParts {
  const key = Array.isArray(plan.key) ? (plan.key as unknown[]).slice(1) : [];
  const parts = key.map((part, index) => {
    if (Array.isArray(part)) return [[plan.kind === "exec" ? "mounts" : "content", part]];
    return typeof part === "object" && part !== null
      ? Object.entries(part)
      : [[plan.kind === "workdir" && index === 0 ? "path" : "user", part]];
  });
  return { parent: base?.snapshot ?? null, parts: Object.fromEntries(parts.flat()) as StepParts["parts"] };
}

import type { CheckResult } from "../wire/mod.ts";
import type { Source } from "./dockerfile/quote.ts";
import type { Step } from "./graph/graph.ts";

/** Hears what happens to the steps of a build as it happens; for clients that show them all at once. */
export interface BuildObserver {
  /** All that will be told of, in the order of the Dockerfile; once, before anything runs. */
  steps(steps: readonly ObservedStep[]): void;
  started(id: number): void;
  /** What the step's process says. */
  output(id: number, text: string): void;
  ended(id: number, how: StepEnd): void;
  /** What the checks say about the Dockerfile, if anything; for clients that tell it apart from the output. */
  warned?(warnings: CheckResult["Warnings"], source: Source): void;
  /** Work that is no step's, and has begun. */
  task(name: string): BuildTask;
}

export interface BuildTask {
  /** What is being done. */
  status(what: string): void;
  /** A failure does not end the build by itself. */
  end(failure?: string): void;
}

export interface ObservedStep {
  readonly id: number;
  /** The instruction as it stands in the Dockerfile. */
  readonly text: string;
  /** Ids of those that it stands on or reads from. */
  readonly inputs: readonly number[];
}

export type StepEnd =
  | { readonly kind: "done" }
  | { readonly kind: "cached" }
  | { readonly kind: "failed"; readonly message: string };

/** Those that do something: a vertex is told once, as the instruction that brought it. */
export function observedSteps(steps: readonly Step[]): ObservedStep[] {
  const found = new Map<number, ObservedStep>();
  for (const { vertex, text, runs } of steps) {
    if (!vertex || found.has(vertex.id) || !(runs || vertex.op.kind === "image")) continue;
    const inputs = [...(vertex.base ? [vertex.base] : []), ...vertex.inputs].map(({ id }) => id);
    found.set(vertex.id, { id: vertex.id, text, inputs });
  }
  return [...found.values()];
}

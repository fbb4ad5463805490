import { type CharTest, isWord } from "./classes.ts";
import type { Assertion, Node } from "./parse.ts";

type Step =
  | { readonly kind: "char"; readonly test: CharTest }
  | { readonly kind: "assert"; readonly what: Assertion }
  /** Goes on at each of these. */
  | { readonly kind: "split"; to: readonly number[] }
  | { readonly kind: "match" };

/** An expression as steps; each is followed by the next one unless it says otherwise. */
export type Program = readonly Step[];

class TooLarge extends Error {}

/** Undefined when it takes more than `limit` steps: repetitions of repetitions grow fast. */
export function compile(node: Node, limit: number): Program | undefined {
  const steps: Step[] = [];
  try {
    emit(node, { steps, limit });
  } catch (err) {
    if (err instanceof TooLarge) return undefined;
    throw err;
  }
  steps.push({ kind: "match" });
  return steps;
}

interface Emitting {
  readonly steps: Step[];
  readonly limit: number;
}

function push<S extends Step>({ steps, limit }: Emitting, step: S): S {
  if (steps.length >= limit) throw new TooLarge();
  steps.push(step);
  return step;
}

function emit(node: Node, out: Emitting): void {
  switch (node.kind) {
    case "char":
    case "assert":
      push(out, node);
      return;
    case "sequence":
      for (const part of node.parts) emit(part, out);
      return;
    case "choice":
      emitChoice(node.options, out);
      return;
    case "repeat":
      emitRepeat(node, out);
      return;
    default:
      node satisfies never;
  }
}

function emitChoice(options: readonly Node[], out: Emitting): void {
  const start = push(out, { kind: "split", to: [] as readonly number[] });
  const starts: number[] = [];
  const ends = options.map((option) => {
    starts.push(out.steps.length);
    emit(option, out);
    return push(out, { kind: "split", to: [] as readonly number[] });
  });
  start.to = starts;
  for (const end of ends) end.to = [out.steps.length];
}

function emitRepeat({ body, min, max }: Extract<Node, { kind: "repeat" }>, out: Emitting): void {
  for (let count = 0; count < min; count++) emit(body, out);
  if (max === Number.POSITIVE_INFINITY) {
    const loop = out.steps.length;
    const enter = push(out, { kind: "split", to: [] as readonly number[] });
    emit(body, out);
    push(out, { kind: "split", to: [loop] });
    enter.to = [loop + 1, out.steps.length];
    return;
  }
  const skips = Array.from({ length: max - min }, () => {
    const skip = push(out, { kind: "split", to: [] as readonly number[] });
    const next = out.steps.length;
    emit(body, out);
    return { skip, next };
  });
  for (const { skip, next } of skips) skip.to = [next, out.steps.length];
}

/**
 * Whether it matches anywhere in the text. All ways to match are followed at once, each step at most once a character: time
 * grows with the length of the text times that of the program, whatever they are (Thompson 1968).
 */
export function run(program: Program, text: string): boolean {
  const codes = Array.from(text, (char) => char.codePointAt(0) ?? 0);
  let current: number[] = [];
  for (let at = 0; at <= codes.length; at++) {
    const reached = follow(program, { from: [...current, 0], codes, at });
    if (reached === "match") return true;
    const code = codes[at];
    if (code === undefined) break;
    current = reached.filter((index) => consumes(program[index], code)).map((index) => index + 1);
  }
  return false;
}

function consumes(step: Step | undefined, code: number): boolean {
  return step?.kind === "char" && step.test(code);
}

interface Position {
  readonly from: readonly number[];
  readonly codes: readonly number[];
  readonly at: number;
}

/** The steps that wait for a character, from these on. */
function follow(program: Program, { from, codes, at }: Position): number[] | "match" {
  const seen = new Uint8Array(program.length);
  const waiting: number[] = [];
  const open = [...from];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (seen[index]) continue;
    seen[index] = 1;
    const step = program[index];
    if (step?.kind === "match") return "match";
    if (step?.kind === "char") waiting.push(index);
    else if (step?.kind === "split") open.push(...step.to);
    else if (step && holds(step.what, { codes, at })) open.push(index + 1);
  }
  return waiting;
}

function holds(what: Assertion, { codes, at }: Omit<Position, "from">): boolean {
  switch (what) {
    case "textStart":
      return at === 0;
    case "textEnd":
      return at === codes.length;
    case "lineStart":
      return at === 0 || codes[at - 1] === 10;
    case "lineEnd":
      return at === codes.length || codes[at] === 10;
    case "word":
      return between(codes, at);
    case "notWord":
      return !between(codes, at);
    default:
      return what satisfies never;
  }
}

function between(codes: readonly number[], at: number): boolean {
  return isWord(codes[at - 1] ?? -1) !== isWord(codes[at] ?? -1);
}

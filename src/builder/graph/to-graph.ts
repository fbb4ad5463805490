import { EngineError } from "../../errors/mod.ts";
import { budgeted } from "../dockerfile/budget.ts";
import { triggersAt } from "../dockerfile/instruction.ts";
import type { FromInstruction, Instruction, Place } from "../dockerfile/instructions.ts";
import { inOne, type Steps } from "../dockerfile/slices.ts";
import { applyInstruction } from "./apply.ts";
import { globalArgs, unusedArgs } from "./args.ts";
import {
  type BuildGraph,
  type GraphOptions,
  type GraphOutcome,
  imageKey,
  type NeededImage,
  type ResolvedImage,
  type StageResult,
  type Step,
} from "./graph.ts";
import { addLabels } from "./metadata.ts";
import { normalPlatform, parsePlatform } from "./platform.ts";
import { type NamedReference, type Reference, References } from "./references.ts";
import { childOf, configOf, historyOf, type StageState, stateOf } from "./stage.ts";
import type { Op, Vertex } from "./vertex.ts";

/** Evaluates the stages that the target needs; pure. Throws "invalid" with the line of what cannot be. */
export function toGraph(options: GraphOptions): GraphOutcome {
  return inOne(graphing(options));
}

/** The same, in steps. */
export function graphing(options: GraphOptions): Steps<GraphOutcome> {
  return budgeted(outcomeOf(options));
}

function* outcomeOf(options: GraphOptions): Steps<GraphOutcome> {
  const evaluation = new Evaluation(options);
  try {
    return { kind: "graph", graph: yield* evaluation.graph() };
  } catch (err) {
    if (!(err instanceof Missing)) throw err;
    return { kind: "needs", images: yield* evaluation.needed() };
  }
}

/** What every image has, as docker gives it one (moby `system.DefaultPathEnv`). */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** An image that evaluation cannot go on without. Never leaves this file. */
class Missing extends Error {}

/** What applying an instruction may ask for. */
export interface StageContext {
  readonly options: GraphOptions;
  readonly globals: ReadonlyMap<string, string>;
  vertex(op: Op, parts: { base: Vertex | undefined; inputs: readonly Vertex[] }): Vertex;
  /** The files of a stage, by name or number, or of an image. */
  from(name: string, place: Place): Vertex | undefined;
}

interface Evaluated {
  readonly state: StageState;
  readonly steps: readonly Step[];
}

class Evaluation {
  readonly #options: GraphOptions;
  readonly #globals: ReadonlyMap<string, string>;
  readonly #references: References;
  readonly #stages = new Map<number, Evaluated>();
  readonly #images = new Map<string, Vertex>();
  readonly #missing = new Map<string, NeededImage>();
  readonly #triggers = new Map<FromInstruction, { written: readonly string[]; read: readonly Instruction[] }>();
  #vertices = 0;

  constructor(options: GraphOptions) {
    this.#options = options;
    this.#globals = globalArgs(options);
    this.#references = new References(options, this.#globals);
  }

  *graph(): Steps<BuildGraph> {
    const { state } = yield* this.#stage(this.#references.target(this.#options.target));
    const labels = this.#labels(state);
    const steps = [...this.#stages].sort(([a], [b]) => a - b).flatMap(([, stage]) => stage.steps);
    const stages = new Set(this.#stages.keys());
    return {
      steps: [...steps, ...labels],
      result: resultOf(state),
      stages,
      unusedArgs: unusedArgs(this.#options),
      globals: this.#globals,
    };
  }

  /** What is missing, with everything else that can be foreseen, so that it can be fetched at the same time. */
  *needed(): Steps<NeededImage[]> {
    for (const index of yield* this.#reachable(this.#references.target(this.#options.target))) {
      const { from, instructions } = this.#options.file.stages[index] ?? {};
      if (!from || !instructions) continue;
      const [base, ...sources] = this.#references.of(index, []);
      if (base?.kind === "image") this.#known({ name: base.name, ...this.#platformOf(from), lines: from });
      for (const source of sources) this.#foresee(source);
    }
    return [...this.#missing.values()];
  }

  #foresee(source: NamedReference): void {
    if (source.kind === "image" && source.lines)
      this.#known({ name: source.name, ...this.#ownPlatform(), lines: source.lines });
  }

  /** The stages that one needs, itself included: by steps, not by recursion, since there may be thousands in a row. */
  *#reachable(index: number): Steps<number[]> {
    const found = new Set([index]);
    for (const at of found) {
      const triggers = yield* this.#triggersOf(at);
      for (const one of this.#references.of(at, triggers)) if (one.kind === "stage") found.add(one.index);
      yield;
    }
    return [...found];
  }

  /** Triggers that a stage will run, as far as its base is known. */
  *#triggersOf(index: number): Steps<readonly Instruction[]> {
    const from = this.#options.file.stages[index]?.from;
    if (!from) return [];
    const base = this.#references.base(from, index);
    if (base.kind === "scratch") return [];
    if (base.kind === "image") {
      const known = this.#options.images.get(imageKey({ name: base.name, ...this.#platformOf(from) }));
      return yield* this.#read(known?.config.config?.OnBuild ?? [], from);
    }
    const own = this.#options.file.stages[base.index]?.instructions ?? [];
    return yield* this.#read(
      own.flatMap((one) => (one.kind === "onbuild" ? [one.trigger] : [])),
      from,
    );
  }

  /** The triggers that a FROM runs, which are looked at more than once. */
  *#read(written: readonly string[], from: FromInstruction): Steps<readonly Instruction[]> {
    const known = this.#triggers.get(from);
    if (known?.written.length === written.length && written.every((one, at) => one === known.written[at])) {
      return known.read;
    }
    const read = yield* triggersAt(written, from);
    this.#triggers.set(from, { written: [...written], read });
    return read;
  }

  #platformOf(from: FromInstruction): { platform?: string } {
    const platform = this.#references.platform(from, this.#options.targetPlatform);
    return platform === undefined ? this.#ownPlatform() : { platform };
  }

  /** The platform of the build is asked for only when its user did. */
  #ownPlatform(): { platform?: string } {
    return this.#options.platformGiven ? { platform: this.#globals.get("TARGETPLATFORM") ?? "" } : {};
  }

  #known(image: NeededImage): ResolvedImage | undefined {
    const known = this.#options.images.get(imageKey(image));
    if (!known && !this.#missing.has(imageKey(image))) this.#missing.set(imageKey(image), image);
    return known;
  }

  #require(image: NeededImage): ResolvedImage {
    const known = this.#known(image);
    if (!known) throw new Missing(image.name);
    return known;
  }

  /** Stages stand on earlier ones alone, so that in ascending order each finds what it needs. */
  *#stage(index: number): Steps<Evaluated> {
    const reachable = yield* this.#reachable(index);
    for (const one of reachable.sort((a, b) => a - b)) {
      if (!this.#stages.has(one)) this.#stages.set(one, yield* this.#evaluate(one));
    }
    return this.#evaluated(index);
  }

  #evaluated(index: number): Evaluated {
    const done = this.#stages.get(index);
    if (!done) throw new EngineError("internal", `Stage ${index} is needed before its turn`);
    return done;
  }

  *#evaluate(index: number): Steps<Evaluated> {
    const stage = this.#options.file.stages[index];
    if (!stage) throw new EngineError("internal", `Stage ${index} does not exist`);
    const { from } = stage;
    const { state, triggers } = yield* this.#start(from, index);
    const first: Step = {
      text: from.original,
      lines: from,
      ...(state.vertex && { vertex: state.vertex }),
      runs: false,
    };
    const steps = [first];
    for (const instruction of [...triggers, ...stage.instructions]) {
      steps.push(yield* this.#apply(state, { instruction, index }));
      yield;
    }
    return { state, steps };
  }

  *#apply(state: StageState, { instruction, index }: { instruction: Instruction; index: number }): Steps<Step> {
    const before = state.vertex;
    yield* applyInstruction(state, instruction, this.#context(index));
    const { vertex } = state;
    const runs = vertex !== before;
    return { text: instruction.original, lines: instruction, ...(vertex && { vertex }), runs };
  }

  #context(index: number): StageContext {
    return {
      options: this.#options,
      globals: this.#globals,
      vertex: (op, { base, inputs }) => ({
        ...{ id: this.#vertices++, op, ...(base && { base }), inputs },
        ...(this.#isUncached(index) && { uncached: true }),
      }),
      from: (name, place) => this.#from(name, { place, index }),
    };
  }

  #isUncached(index: number): boolean {
    const { file, uncachedStages = [] } = this.#options;
    const name = file.stages[index]?.from.name;
    return name !== undefined && uncachedStages.some((one) => one.toLowerCase() === name);
  }

  #from(name: string, { place, index }: { place: Place; index: number }): Vertex | undefined {
    const source = this.#references.source(name, { index, lines: place });
    if (source.kind === "scratch") return undefined;
    if (source.kind === "stage") return this.#evaluated(source.index).state.vertex;
    return this.#imageVertex(this.#require({ name: source.name, ...this.#ownPlatform(), lines: place }));
  }

  #imageVertex(image: ResolvedImage): Vertex {
    const known = this.#images.get(image.id);
    const vertex = known ?? { id: this.#vertices++, op: { kind: "image", image: image.id }, inputs: [] };
    this.#images.set(image.id, vertex);
    return vertex;
  }

  *#start(from: FromInstruction, index: number): Steps<{ state: StageState; triggers: readonly Instruction[] }> {
    const base = this.#references.base(from, index);
    const state = base.kind === "stage" ? childOf(this.#evaluated(base.index).state) : this.#root(from, base);
    const triggers = yield* this.#read(state.config.OnBuild ?? [], from);
    state.config.OnBuild = null;
    if (!state.env.has("PATH")) {
      state.imageEnv.set("PATH", defaultPath);
      state.env.set("PATH", defaultPath);
    }
    return { state, triggers };
  }

  #root(from: FromInstruction, base: Exclude<Reference, { kind: "stage" }>): StageState {
    const wanted = this.#platformOf(from);
    const { targetPlatform } = this.#options;
    if (base.kind === "scratch") {
      const platform = wanted.platform ? parsePlatform(wanted.platform, targetPlatform) : targetPlatform;
      return stateOf({}, { vertex: undefined, author: undefined, platform });
    }
    const image = this.#require({ name: base.name, ...wanted, lines: from });
    const { os, architecture, variant, author, config, rootfs } = image.config;
    return stateOf(config ?? {}, {
      vertex: rootfs.diff_ids.length > 0 ? this.#imageVertex(image) : undefined,
      base: image,
      author,
      platform: normalPlatform({ os, architecture, ...(variant && { variant }) }),
    });
  }

  #labels(state: StageState): Step[] {
    const labels = Object.entries(this.#options.labels);
    if (labels.length === 0) return [];
    addLabels(state, labels);
    const text = `LABEL ${labels.map(([name, value]) => `${name}=${value}`).join(" ")}`;
    return [{ text, ...(state.vertex && { vertex: state.vertex }), runs: false }];
  }
}

function resultOf(state: StageState): StageResult {
  return {
    ...(state.vertex && { vertex: state.vertex }),
    ...(state.base && { base: state.base }),
    config: configOf(state),
    ...(state.author !== undefined && { author: state.author }),
    platform: state.platform,
    history: historyOf(state),
  };
}

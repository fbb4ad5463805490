import { EngineError } from "../../errors/mod.ts";
import { dockerfileError } from "../dockerfile/error.ts";
import { shellWord } from "../dockerfile/expand.ts";
import { triggerInstruction } from "../dockerfile/instruction.ts";
import type { FromInstruction, Instruction, Place } from "../dockerfile/instructions.ts";
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
import { parsePlatform } from "./platform.ts";
import { located, type StageState } from "./stage.ts";
import type { Op, Vertex } from "./vertex.ts";

/** Evaluates the stages that the target needs; pure. Throws "invalid" with the line of what cannot be. */
export function toGraph(options: GraphOptions): GraphOutcome {
  const evaluation = new Evaluation(options);
  try {
    const graph = evaluation.graph();
    return { kind: "graph", graph };
  } catch (err) {
    if (!(err instanceof Missing)) throw err;
    return { kind: "needs", images: evaluation.needed() };
  }
}

/** What an image from scratch has, as docker gives it one (moby `system.DefaultPathEnv`). */
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
  readonly #stages = new Map<number, Evaluated>();
  readonly #images = new Map<string, Vertex>();
  readonly #missing = new Map<string, NeededImage>();
  #vertices = 0;

  constructor(options: GraphOptions) {
    this.#options = options;
    this.#globals = globalArgs(options);
  }

  graph(): BuildGraph {
    const target = this.#target();
    const { state } = this.#stage(target);
    const labels = this.#labels(state);
    const steps = [...this.#stages].sort(([a], [b]) => a - b).flatMap(([, stage]) => stage.steps);
    return { steps: [...steps, ...labels], result: resultOf(state), unusedArgs: unusedArgs(this.#options) };
  }

  /** What is missing, with everything else that can be foreseen, so that it can be fetched at the same time. */
  needed(): NeededImage[] {
    for (const index of this.#foreseen(this.#target(), new Set())) {
      const { from } = this.#options.file.stages[index] ?? {};
      if (from && this.#stageNamed(this.#fromName(from), index) === undefined) this.#tryImage(from);
    }
    return [...this.#missing.values()];
  }

  #foreseen(index: number, seen: Set<number>): Set<number> {
    if (seen.has(index)) return seen;
    seen.add(index);
    const stage = this.#options.file.stages[index];
    if (!stage) return seen;
    const copies = stage.instructions.flatMap((one) => (one.kind === "copy" && one.from ? [one.from] : []));
    for (const name of [this.#fromName(stage.from), ...copies]) {
      const next = this.#stageNamed(name, index);
      if (next !== undefined) this.#foreseen(next, seen);
    }
    return seen;
  }

  #tryImage(from: FromInstruction): void {
    const name = this.#fromName(from);
    if (name !== "scratch") this.#known({ name, ...this.#platformOf(from), line: from.line });
  }

  #target(): number {
    const { stages } = this.#options.file;
    const { target } = this.#options;
    if (target === undefined || target === "") return stages.length - 1;
    const index = this.#stageNamed(target, stages.length);
    if (index !== undefined) return index;
    throw new EngineError("invalid", `target stage ${JSON.stringify(target)} could not be found`);
  }

  /** A stage in front of `before` by its name, the last of that name, or by its number. */
  #stageNamed(text: string, before: number): number | undefined {
    const { stages } = this.#options.file;
    const at = stages.slice(0, before).findLastIndex((stage) => stage.from.name === text.toLowerCase());
    if (at >= 0) return at;
    return /^\d{1,6}$/.test(text) && Number(text) < before ? Number(text) : undefined;
  }

  #fromName(from: FromInstruction): string {
    const name = located(from, () => shellWord(from.image, { escape: from.escape, env: this.#globals }));
    if (name !== "") return name;
    throw dockerfileError(from.line, `base name (${from.image}) should not be blank`);
  }

  #platformOf(from: FromInstruction): { platform?: string } {
    if (from.platform === undefined) return this.#options.platformGiven ? { platform: this.#ownPlatform() } : {};
    const text = from.platform;
    const platform = located(from, () => shellWord(text, { escape: from.escape, env: this.#globals }));
    return platform === "" ? {} : { platform };
  }

  #ownPlatform(): string {
    return this.#globals.get("TARGETPLATFORM") ?? "";
  }

  #known(image: NeededImage): ResolvedImage | undefined {
    const known = this.#options.images.get(imageKey(image));
    if (!known) this.#missing.set(imageKey(image), image);
    return known;
  }

  #require(image: NeededImage): ResolvedImage {
    const known = this.#known(image);
    if (!known) throw new Missing(image.name);
    return known;
  }

  #stage(index: number): Evaluated {
    const done = this.#stages.get(index);
    if (done) return done;
    const stage = this.#options.file.stages[index];
    if (!stage) throw new EngineError("internal", `Stage ${index} does not exist`);
    const { state, triggers } = this.#start(stage.from, index);
    const steps: Step[] = [{ text: stage.from.original, ...(state.vertex && { vertex: state.vertex }), runs: false }];
    for (const instruction of [...triggers, ...stage.instructions]) {
      steps.push(this.#apply(state, { instruction, index }));
    }
    const evaluated = { state, steps };
    this.#stages.set(index, evaluated);
    return evaluated;
  }

  #apply(state: StageState, { instruction, index }: { instruction: Instruction; index: number }): Step {
    const before = state.vertex;
    applyInstruction(state, instruction, this.#context(index));
    const { vertex } = state;
    return { text: instruction.original, ...(vertex && { vertex }), runs: vertex !== before };
  }

  #context(index: number): StageContext {
    return {
      options: this.#options,
      globals: this.#globals,
      vertex: (op, { base, inputs }) => ({ id: this.#vertices++, op, ...(base && { base }), inputs }),
      from: (name, place) => this.#from(name, { place, index }),
    };
  }

  #from(name: string, { place, index }: { place: Place; index: number }): Vertex | undefined {
    const stage = this.#stageNamed(name, index);
    if (stage !== undefined) return this.#stage(stage).state.vertex;
    if (/^\d+$/.test(name) || this.#options.file.stages[index]?.from.name === name.toLowerCase()) {
      throw dockerfileError(place.line, `invalid from flag value ${name}: refers to current or later build stage`);
    }
    if (name === "scratch") return undefined;
    const platform = this.#options.platformGiven ? { platform: this.#ownPlatform() } : {};
    return this.#imageVertex(this.#require({ name, ...platform, line: place.line }));
  }

  #imageVertex(image: ResolvedImage): Vertex {
    const known = this.#images.get(image.id);
    const vertex = known ?? { id: this.#vertices++, op: { kind: "image", image: image.id }, inputs: [] };
    this.#images.set(image.id, vertex);
    return vertex;
  }

  #start(from: FromInstruction, index: number): { state: StageState; triggers: Instruction[] } {
    const name = this.#fromName(from);
    const stage = this.#stageNamed(name, index);
    const isStage = stage !== undefined && !/^\d+$/.test(name);
    const state = isStage ? childOf(this.#stage(stage).state) : this.#fromImage(from, name);
    const triggers = (state.config.OnBuild ?? []).map((trigger) => triggerInstruction(trigger, from));
    state.config.OnBuild = null;
    return { state, triggers };
  }

  #fromImage(from: FromInstruction, name: string): StageState {
    const wanted = this.#platformOf(from);
    const { targetPlatform } = this.#options;
    const fresh = { args: new Map(), history: [], cmdSet: false, author: undefined };
    if (name === "scratch") {
      const platform = wanted.platform ? parsePlatform(wanted.platform, targetPlatform) : targetPlatform;
      return { ...fresh, config: { Env: [defaultPath] }, vertex: undefined, platform };
    }
    const base = this.#require({ name, ...wanted, line: from.line });
    const { os, architecture, variant, author } = base.config;
    return {
      ...fresh,
      config: { ...base.config.config },
      vertex: base.config.rootfs.diff_ids.length > 0 ? this.#imageVertex(base) : undefined,
      base,
      author,
      platform: { os, architecture, ...(variant && { variant }) },
    };
  }

  #labels(state: StageState): Step[] {
    const labels = Object.entries(this.#options.labels);
    if (labels.length === 0) return [];
    addLabels(state, labels);
    const text = `LABEL ${labels.map(([name, value]) => `${name}=${value}`).join(" ")}`;
    return [{ text, ...(state.vertex && { vertex: state.vertex }), runs: false }];
  }
}

/** A stage that goes on where another one ended, arguments included. */
function childOf(parent: StageState): StageState {
  return {
    ...parent,
    config: { ...parent.config },
    args: new Map(parent.args),
    history: [...parent.history],
    cmdSet: false,
  };
}

function resultOf(state: StageState): StageResult {
  return {
    ...(state.vertex && { vertex: state.vertex }),
    ...(state.base && { base: state.base }),
    config: state.config,
    ...(state.author !== undefined && { author: state.author }),
    platform: state.platform,
    history: state.history,
  };
}

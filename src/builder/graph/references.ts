import { EngineError, messageOf } from "../../errors/mod.ts";
import { type Platform, parseReference } from "../../oci/mod.ts";
import type { Dockerfile, Stage } from "../dockerfile/dockerfile.ts";
import { dockerfileError, type Lines } from "../dockerfile/error.ts";
import { shellWord } from "../dockerfile/expand.ts";
import type { CopyInstruction, FromInstruction, Instruction } from "../dockerfile/instructions.ts";
import { mountFrom } from "../dockerfile/mount.ts";
import { likely } from "../dockerfile/suggest.ts";
import { contextName } from "./context-name.ts";
import type { GraphOptions } from "./graph.ts";
import { parsePlatform } from "./platform.ts";
import { located } from "./stage.ts";

/** What a name in FROM, `--from` or `--target` stands for. */
export type Reference =
  | { readonly kind: "stage"; readonly index: number }
  | { readonly kind: "image"; readonly name: string }
  /** An empty root. */
  | { readonly kind: "scratch" };

/** A reference, with the instruction that names it where that is not FROM. */
export type NamedReference = Reference & { readonly lines?: Lines };

export type ReferencesInput = Pick<GraphOptions, "file" | "targetPlatform" | "contexts">;

/** Resolves the names that the stages of a Dockerfile have for each other. Stages know only earlier ones, so there are no cycles. */
export class References {
  readonly #file: Dockerfile;
  readonly #globals: ReadonlyMap<string, string>;
  /** Indices by name, ascending. */
  readonly #named = new Map<string, number[]>();
  /** By {@link contextName}. */
  readonly #contexts: ReadonlyMap<string, string>;

  /** Throws "invalid" for a FROM or --from of any stage, also one that is not built, which can name nothing. */
  constructor(
    { file, targetPlatform: platform, contexts = {} }: ReferencesInput,
    globals: ReadonlyMap<string, string>,
  ) {
    this.#file = file;
    this.#globals = globals;
    this.#contexts = new Map(Object.entries(contexts).map(([name, meant]) => [contextName(name), meant]));
    for (const [index, { from }] of file.stages.entries()) this.#add(index, from.name);
    for (const [index, { from, instructions }] of file.stages.entries()) {
      requireReference(from, this.base(from, index));
      this.platform(from, platform);
      for (const one of instructions) if (one.kind === "copy") this.#checkFrom(one);
    }
  }

  #add(index: number, name: string | undefined): void {
    if (name === undefined) return;
    const known = this.#named.get(name);
    if (known) known.push(index);
    else this.#named.set(name, [index]);
  }

  /** Throws "invalid": `target stage "x" could not be found`. */
  target(text: string | undefined): number {
    const { stages } = this.#file;
    if (text === undefined || text === "") return stages.length - 1;
    const index = this.#earlier(text, stages.length);
    if (index !== undefined) return index;
    const hint = likely(text.toLowerCase(), this.#named.keys());
    const meant = hint === undefined ? "" : ` (did you mean ${hint}?)`;
    throw new EngineError("invalid", `target stage ${JSON.stringify(text)} could not be found${meant}`);
  }

  /** What FROM names. Numbers are names of images here. */
  base(from: FromInstruction, index = 0): Reference {
    const name = located(from, () => shellWord(from.image, { escape: from.escape, env: this.#globals }));
    if (name === "") throw dockerfileError(from, `base name (${from.image}) should not be blank`);
    const given = this.#given(name);
    if (given) return given;
    const stage = this.#earlier(name, index);
    if (stage !== undefined) return { kind: "stage", index: stage };
    return name === "scratch" ? { kind: "scratch" } : { kind: "image", name };
  }

  /** The platform that FROM asks for; undefined when it does not. */
  platform(from: FromInstruction, fallback: Platform): string | undefined {
    const written = from.platform;
    if (written === undefined || written === "") return undefined;
    const platform = located(from, () => shellWord(written, { escape: from.escape, env: this.#globals }));
    if (platform === "")
      throw dockerfileError(from, `empty platform value from expression ${written}${this.#hint(written)}`);
    try {
      parsePlatform(platform, fallback);
    } catch (err) {
      throw dockerfileError(from, `failed to parse platform ${written}: ${messageOf(err)}${this.#hint(written)}`);
    }
    return platform;
  }

  /** What `--from` names in a stage. */
  source(name: string, { index, lines }: { index: number; lines: Lines }): Reference {
    const given = this.#given(name);
    if (given) return given;
    const own = this.#file.stages[index]?.from.name;
    const stage = this.#earlier(name, index);
    if (stage !== undefined) return { kind: "stage", index: stage };
    const number = indexOf(name);
    if (number !== undefined && number >= 0 && number < index) return { kind: "stage", index: number };
    const isLater = number !== undefined || this.#earlier(name, this.#file.stages.length) !== undefined;
    if (isLater) throw this.#notYet(name, { lines, own: own ?? `stage-${index}`, number });
    return name === "scratch" ? { kind: "scratch" } : { kind: "image", name };
  }

  /** The stages and images that a stage stands on or copies from, in the order of its text. */
  of(index: number, triggers: readonly Instruction[]): NamedReference[] {
    const stage = this.#file.stages[index];
    if (!stage) return [];
    return [this.base(stage.from, index), ...this.#sources(stage, { index, triggers })];
  }

  /** Names of all stages, for those who look for one that is not there. */
  names(): Iterable<string> {
    return this.#named.keys();
  }

  #sources(stage: Stage, { index, triggers }: { index: number; triggers: readonly Instruction[] }): NamedReference[] {
    return [...triggers, ...stage.instructions].flatMap((one) =>
      sourceNames(one).map((name) => ({ ...this.source(name, { index, lines: one }), lines: one })),
    );
  }

  /** A named context, which hides stages and images. */
  #given(name: string): Reference | undefined {
    const meant = this.#contexts.size === 0 ? undefined : this.#contexts.get(contextName(name));
    if (meant === undefined) return undefined;
    return meant === "scratch" ? { kind: "scratch" } : { kind: "image", name: meant };
  }

  /** The last stage of a name in front of `before`. */
  #earlier(name: string, before: number): number | undefined {
    const indices = this.#named.get(name.toLowerCase()) ?? [];
    let [low, high] = [0, indices.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((indices[middle] ?? before) < before) low = middle + 1;
      else high = middle;
    }
    return indices[low - 1];
  }

  #checkFrom({ from, ...instruction }: CopyInstruction): void {
    if (from === undefined || from === "") return;
    const plain = located(instruction, () => shellWord(from, { escape: instruction.escape, env: new Map() }));
    if (plain !== from) {
      const problem =
        "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround";
      throw dockerfileError(instruction, problem);
    }
    const number = indexOf(from);
    if (number !== undefined && (number < 0 || number >= this.#file.stages.length) && !this.#named.has(from)) {
      throw dockerfileError(instruction, `invalid from flag value ${from}: invalid stage index ${number}`);
    }
  }

  #notYet(
    name: string,
    { lines, own, number }: { lines: Lines; own: string; number: number | undefined },
  ): EngineError {
    const shown = JSON.stringify(name);
    const what = `invalid from flag value ${name}: refers to current or later build stage`;
    if (number !== undefined && number >= this.#file.stages.length) {
      return dockerfileError(lines, `${what}: invalid stage index ${number}`);
    }
    if (name.toLowerCase() === own)
      return dockerfileError(lines, `${what}: circular dependency detected on stage: ${own}`);
    const order = `cannot copy from stage ${shown}, it needs to be defined before current stage ${JSON.stringify(own)}`;
    return dockerfileError(lines, `${what}: ${order}`);
  }

  #hint(written: string): string {
    const names = [...written.matchAll(/\$\{?(\w+)/g)].map(([, name = ""]) => name);
    const name = names.find((one) => !this.#globals.has(one)) ?? "";
    const meant = likely(name, this.#globals.keys());
    return meant === undefined ? "" : ` (did you mean ${meant}?)`;
  }
}

/** What no image can be called is refused, also in a stage that is not built. */
function requireReference(from: FromInstruction, base: Reference): void {
  if (base.kind !== "image" || /^[0-9a-f]{64}$/.test(base.name)) return;
  try {
    parseReference(base.name);
  } catch (err) {
    throw dockerfileError(from, `failed to parse stage name ${JSON.stringify(base.name)}: ${messageOf(err)}`);
  }
}

/** What `--from` and mounts name in an instruction. */
function sourceNames(instruction: Instruction): string[] {
  if (instruction.kind === "copy") return instruction.from ? [instruction.from] : [];
  if (instruction.kind !== "run") return [];
  return instruction.mounts.flatMap((fields) => mountFrom(fields) ?? []);
}

/** Digits name a stage by its number, whatever their sign (Go's `strconv.Atoi`). */
function indexOf(text: string): number | undefined {
  return /^[+-]?\d{1,9}$/.test(text) ? Number(text) : undefined;
}

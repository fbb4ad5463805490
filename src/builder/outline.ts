import { posix } from "node:path";
import { withBudget } from "./dockerfile/budget.ts";
import type { Dockerfile, Stage } from "./dockerfile/dockerfile.ts";
import type { Lines } from "./dockerfile/error.ts";
import type { ArgInstruction, FromInstruction, RunInstruction } from "./dockerfile/instructions.ts";
import { toMount } from "./dockerfile/mount.ts";
import { globalArgs } from "./graph/args.ts";
import type { GraphOptions } from "./graph/graph.ts";
import { References } from "./graph/references.ts";
import { expander } from "./graph/stage.ts";

/** A stage, as who chooses a target sees it. */
export interface Target {
  readonly name?: string;
  readonly description?: string;
  readonly isDefault: boolean;
  /** As FROM names it. */
  readonly base: string;
  readonly platform?: string;
  readonly lines: Lines;
}

/** What a target can be given, in the order of the Dockerfile. */
export interface Outline {
  readonly name?: string;
  readonly description?: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly Asked[];
  readonly ssh: readonly Asked[];
}

export interface OutlineArg {
  readonly name: string;
  readonly description?: string;
  /** Given, or its default; undefined for none. */
  readonly value?: string;
  readonly lines: Lines;
}

/** A secret or an ssh agent. */
export interface Asked {
  readonly id: string;
  readonly required: boolean;
  readonly lines: Lines;
}

export function targetsOf({ stages }: Dockerfile): Target[] {
  return stages.map(({ from }, index) => ({
    ...naming(from),
    isDefault: index === stages.length - 1,
    base: from.image,
    ...(from.platform !== undefined && { platform: from.platform }),
    lines: { line: from.line, endLine: from.endLine },
  }));
}

function naming({ name, comments }: FromInstruction): { name?: string; description?: string } {
  return name === undefined ? {} : { name, ...described(comments, name) };
}

/** A comment right above that begins with the name (BuildKit `getDocComment`). */
function described(comments: readonly string[], name: string): { description?: string } {
  const found = comments.find((comment) => comment.startsWith(`${name} `));
  return found === undefined ? {} : { description: found.slice(name.length + 1) };
}

type Options = Omit<GraphOptions, "images">;

/**
 * The arguments, secrets and agents of the stages that the target needs. No image is looked at: a variable that one sets is
 * empty in what stands here. Throws "invalid" as a build does.
 */
export function outlineOf(options: Options): Outline {
  return withBudget(() => {
    const { stages } = options.file;
    const globals = globalArgs(options);
    const references = new References(options, globals);
    const target = references.target(options.target);
    const needed = new Set([target]);
    for (const at of needed) {
      for (const one of references.of(at, [])) if (one.kind === "stage") needed.add(one.index);
    }
    const reader = new Reader(options, globals);
    for (const index of [...needed].sort((a, b) => a - b)) {
      const stage = stages[index];
      const base = stage && references.base(stage.from, index);
      if (stage) reader.read(index, { stage, ...(base?.kind === "stage" && { base: base.index }) });
    }
    const from = stages[target]?.from;
    return { ...(from && naming(from)), ...reader.found() };
  });
}

const byPlace = (a: { readonly lines: Lines }, b: { readonly lines: Lines }) => a.lines.line - b.lines.line;

class Reader {
  readonly #options: Options;
  readonly #globals: ReadonlyMap<string, string>;
  /** What the variables of each stage are at its end. */
  readonly #env = new Map<number, ReadonlyMap<string, string>>();
  readonly #args = new Map<string, OutlineArg>();
  readonly #asked = { secret: new Map<string, Asked>(), ssh: new Map<string, Asked>() };

  constructor(options: Options, globals: ReadonlyMap<string, string>) {
    this.#options = options;
    this.#globals = globals;
  }

  /** A stage after the one that it stands on. */
  read(index: number, { stage, base }: { stage: Stage; base?: number }): void {
    const env = new Map(base === undefined ? [] : this.#env.get(base));
    this.#fromArgs(stage.from);
    for (const one of stage.instructions) {
      if (one.kind === "arg") this.#arg(one, env);
      if (one.kind === "run") this.#run(one, env);
      if (one.kind !== "env") continue;
      const { word } = expander(one, env);
      for (const [name, value] of one.pairs.map((pair) => [word(pair.name), word(pair.value)] as const))
        env.set(name, value);
    }
    this.#env.set(index, env);
  }

  found(): Pick<Outline, "args" | "secrets" | "ssh"> {
    const { secret, ssh } = this.#asked;
    const [secrets, agents] = [secret, ssh].map((asked) => [...asked.values()].sort(byPlace));
    return { args: [...this.#args.values()].sort(byPlace), secrets: secrets ?? [], ssh: agents ?? [] };
  }

  /** Those in front of the first FROM belong to a stage whose FROM has them. */
  #fromArgs({ image, platform = "" }: FromInstruction): void {
    const used = [...`${image} ${platform}`.matchAll(/\$\{?(\w+)/g)].map(([, name]) => name ?? "");
    for (const name of used) this.#global(name);
  }

  #global(name: string): void {
    const place = this.#options.file.globals.findLast(({ args }) => args.some((arg) => arg.name === name));
    if (place) this.#add(place, { name, value: this.#globals.get(name) });
  }

  #arg(instruction: ArgInstruction, env: Map<string, string>): void {
    for (const { name, value: written } of instruction.args) {
      const given = (Object.hasOwn(this.#options.args, name) ? this.#options.args[name] : undefined) ?? undefined;
      const inherits = given === undefined && written === undefined && this.#globals.has(name);
      const fallback = () =>
        written === undefined ? this.#globals.get(name) : expander(instruction, env).word(written);
      const value = given ?? fallback();
      if (value !== undefined) env.set(name, value);
      if (inherits) this.#global(name);
      else this.#add(instruction, { name, value });
    }
  }

  #add(place: ArgInstruction, { name, value }: { name: string; value: string | undefined }): void {
    if (this.#args.has(name)) return;
    const lines = { line: place.line, endLine: place.endLine };
    const given = value === undefined ? {} : { value };
    this.#args.set(name, { name, ...described(place.comments, name), ...given, lines });
  }

  #run(instruction: RunInstruction, env: ReadonlyMap<string, string>): void {
    const { word } = expander(instruction, env);
    for (const fields of instruction.mounts) {
      const { type, id: written, target, required } = toMount(fields, { lines: instruction, expand: word });
      if (type !== "secret" && type !== "ssh") continue;
      const id = written || (type === "ssh" ? "default" : posix.basename(target));
      const lines = { line: instruction.line, endLine: instruction.endLine };
      if (!this.#asked[type].has(id)) this.#asked[type].set(id, { id, required, lines });
    }
  }
}

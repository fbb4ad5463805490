import { isKind } from "../../errors/mod.ts";
import type { ImageConfig } from "../../oci/mod.ts";
import { budgeted } from "../dockerfile/budget.ts";
import type { Stage } from "../dockerfile/dockerfile.ts";
import { triggersAt } from "../dockerfile/instruction.ts";
import type { FromInstruction } from "../dockerfile/instructions.ts";
import { inOne, type Steps } from "../dockerfile/slices.ts";
import { globalArgs } from "../graph/args.ts";
import type { GraphOptions } from "../graph/graph.ts";
import { formatPlatform, normalPlatform } from "../graph/platform.ts";
import { References } from "../graph/references.ts";
import { envMap } from "../graph/stage.ts";
import { type CheckConfig, parseCheck } from "./config.ts";
import { checkFile } from "./file-checks.ts";
import { type Finding, Findings } from "./findings.ts";
import { checkFroms, wantedPlatform } from "./from-checks.ts";
import { Hints } from "./hints.ts";
import { IgnoredSources } from "./ignored-sources.ts";
import { checkBasePlatform, checkStage, type StageEnd } from "./stage-checks.ts";

export interface LintOptions extends Omit<GraphOptions, "images"> {
  /** What is known of a base image; undefined when it is not here. */
  readonly image: (name: string, platform?: string) => ImageConfig | undefined;
  /** Patterns of the context's .dockerignore. */
  readonly ignore: readonly string[];
  /** Indices of the stages whose instructions are looked at; undefined for all. FROM lines and spelling are looked at in all. */
  readonly stages?: ReadonlySet<number>;
}

/**
 * BuildKit's build checks (docs.docker.com/reference/build-checks) on a whole Dockerfile; pure. Variables of base images that are not here are not checked. What cannot be built has the findings that come before that is seen.
 */
export function lint(options: LintOptions): Finding[] {
  return inOne(linting(options));
}

/** The same, in steps. */
export function* linting(options: LintOptions): Steps<Finding[]> {
  const findings = new Findings(configOf(options));
  try {
    yield* budgeted(checking(options, findings));
  } catch (err) {
    if (!isKind(err, "invalid")) throw err;
  }
  return findings.sorted();
}

function* checking(options: LintOptions, findings: Findings): Steps<void> {
  checkFile(options.file, findings);
  yield;
  checkFroms(options, findings);
  yield;
  yield* new StagesCheck(options, findings).all();
}

/** What `# check=` says, or the argument that takes its place. Throws "invalid" for what makes no sense. */
export function configOf({ file, args }: Pick<LintOptions, "file" | "args">): CheckConfig {
  return parseCheck(args["BUILDKIT_DOCKERFILE_CHECK"] ?? file.check ?? "");
}

class StagesCheck {
  readonly #options: LintOptions;
  readonly #findings: Findings;
  readonly #globals: ReadonlyMap<string, string>;
  readonly #references: References;
  readonly #ignored: IgnoredSources;
  readonly #hints = new Hints();
  readonly #ends = new Map<number, StageEnd>();

  constructor(options: LintOptions, findings: Findings) {
    this.#options = options;
    this.#findings = findings;
    this.#globals = globalArgs(options);
    this.#references = new References(options, this.#globals);
    this.#ignored = new IgnoredSources(options.ignore);
  }

  *all(): Steps<void> {
    const { file, args, stages } = this.#options;
    for (const [index, stage] of file.stages.entries()) {
      if (stages?.has(index) === false) continue;
      const start = this.#start(index);
      const instructions = [...(yield* this.#triggers(index)), ...stage.instructions];
      const end = yield* checkStage(
        { ...stage, instructions },
        {
          start,
          argument: (name) => this.#globals.get(name),
          given: (name) => args[name] ?? undefined,
          ignored: this.#ignored,
          findings: this.#findings,
          hints: this.#hints,
        },
      );
      this.#ends.set(index, end);
    }
  }

  /** What the stage or image below it left to be done. */
  *#triggers(index: number): Steps<Stage["instructions"]> {
    const from = this.#options.file.stages[index]?.from;
    const base = from && this.#references.base(from, index);
    if (!from || !base || base.kind === "scratch") return [];
    const written =
      base.kind === "image"
        ? (this.#image(from, base.name)?.config?.OnBuild ?? [])
        : (this.#options.file.stages[base.index]?.instructions ?? []).flatMap((one) =>
            one.kind === "onbuild" ? [one.trigger] : [],
          );
    const read = yield* triggersAt(written, from);
    return read.filter((one) => one.kind !== "from");
  }

  #image(from: FromInstruction, name: string): ImageConfig | undefined {
    return this.#options.image(name, from.platform === undefined ? undefined : this.#wanted(from));
  }

  #wanted(from: FromInstruction): string {
    return wantedPlatform(from, { env: this.#globals, fallback: this.#options.targetPlatform });
  }

  #start(index: number): StageEnd {
    const fresh = { args: new Set<string>(), workdirSet: false, hasShell: false };
    const from = this.#options.file.stages[index]?.from;
    const base = from && this.#references.base(from, index);
    if (!from || !base || base.kind === "scratch") return { ...fresh, env: new Map([["PATH", ""]]) };
    if (base.kind === "stage") return this.#ends.get(base.index) ?? { ...fresh, env: undefined };
    const image = this.#image(from, base.name);
    if (!image) return { ...fresh, env: undefined };
    const has = formatPlatform(normalPlatform(image));
    checkBasePlatform(from, { wanted: this.#wanted(from), has, image: base.name, findings: this.#findings });
    const env = envMap(image.config?.Env ?? []);
    if (!env.has("PATH")) env.set("PATH", "");
    return { ...fresh, env, hasShell: (image.config?.Shell ?? []).length > 0 };
  }
}

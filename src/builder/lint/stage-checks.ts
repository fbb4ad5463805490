import { posix } from "node:path";
import type { Stage } from "../dockerfile/dockerfile.ts";
import { shellWords } from "../dockerfile/expand.ts";
import type {
  CopyInstruction,
  FromInstruction,
  Instruction,
  ListInstruction,
  Place,
} from "../dockerfile/instructions.ts";
import type { Steps } from "../dockerfile/slices.ts";
import { portSpec } from "../graph/ports.ts";
import type { Findings } from "./findings.ts";
import type { Hints } from "./hints.ts";
import type { IgnoredSources } from "./ignored-sources.ts";
import { rules } from "./rules.ts";
import { expandedOr, undefinedNames } from "./words.ts";

/** What is known of a stage after its instructions, for those that stand on it. */
export interface StageEnd {
  /** undefined: the base image is not here, so nobody knows its variables. */
  readonly env: ReadonlyMap<string, string> | undefined;
  readonly args: ReadonlySet<string>;
  readonly workdirSet: boolean;
  readonly hasShell: boolean;
}

export interface StageOptions {
  readonly start: StageEnd;
  /** Value of an ARG without a default. */
  readonly argument: (name: string) => string | undefined;
  /** Value given for an ARG. */
  readonly given: (name: string) => string | undefined;
  readonly ignored: IgnoredSources;
  readonly findings: Findings;
  readonly hints: Hints;
}

/** What the instructions of a stage tell one after another. */
export function* checkStage({ instructions }: Stage, options: StageOptions): Steps<StageEnd> {
  const checks = new StageChecks(options);
  for (const one of instructions) {
    yield* checks.instruction(one);
    yield;
  }
  return checks.end();
}

class StageChecks {
  readonly #options: StageOptions;
  readonly #env: Map<string, string>;
  readonly #args: Set<string>;
  readonly #last = new Map<string, Place>();
  #workdirSet: boolean;
  #hasShell: boolean;

  constructor(options: StageOptions) {
    const { start } = options;
    this.#options = options;
    this.#env = new Map(start.env);
    this.#args = new Set(start.args);
    this.#workdirSet = start.workdirSet;
    this.#hasShell = start.hasShell;
  }

  end(): StageEnd {
    const env = this.#options.start.env && this.#env;
    return { env, args: this.#args, workdirSet: this.#workdirSet, hasShell: this.#hasShell };
  }

  *instruction(one: Instruction): Steps<void> {
    if (one.kind !== "arg") yield* this.#checkNames(one, yield* undefinedNames(one, this.#env));
    switch (one.kind) {
      case "env":
        this.#legacy(one);
        for (const pair of one.pairs) this.#secret("ENV", { name: this.#word(pair.name, one), place: one });
        this.#set(one, one.pairs);
        break;
      case "label":
        this.#legacy(one);
        break;
      case "arg":
        yield* this.#arg(one);
        break;
      case "cmd":
      case "entrypoint":
        this.#once(one);
        if (one.command.form === "shell" && !this.#hasShell) this.#json(one);
        break;
      case "healthcheck":
        this.#once(one);
        break;
      case "workdir":
        this.#workdir(this.#word(one.word, one), one);
        break;
      case "shell":
        this.#hasShell = true;
        break;
      case "expose":
        this.#ports(one);
        break;
      case "copy":
        this.#copy(one);
        break;
      default:
    }
  }

  #word(word: string, place: Place): string {
    return expandedOr(word, { escape: place.escape, env: this.#env });
  }

  /** All of an instruction's values are seen before any is set. */
  #set(place: Place, pairs: readonly { readonly name: string; readonly value: string }[]): void {
    const set = pairs.map(({ name, value }) => [this.#word(name, place), this.#word(value, place)] as const);
    for (const [name, value] of set) this.#env.set(name, value);
  }

  *#checkNames(place: Place, names: Iterable<string>): Steps<void> {
    if (!this.#options.start.env) return;
    for (const name of names) {
      yield;
      if (this.#args.has(name)) continue;
      const meant = this.#options.hints.likely(name, this.#env);
      const hint = meant === undefined ? "" : ` (did you mean $${meant}?)`;
      this.#add("undefinedVar", place, `Usage of undefined variable '$${name}'${hint}`);
    }
  }

  #add(rule: keyof typeof rules, place: Place, message: string): void {
    this.#options.findings.add(rules[rule], place, message);
  }

  #legacy(one: Extract<Instruction, { kind: "env" | "label" }>): void {
    const { spelled } = one;
    const message = `"${spelled} key=value" should be used instead of legacy "${spelled} key value" format`;
    if (one.legacy) this.#add("legacyKeyValueFormat", one, message);
  }

  *#arg(one: Extract<Instruction, { kind: "arg" }>): Steps<void> {
    for (const { name, value } of one.args) {
      this.#secret("ARG", { name, place: one });
      const given = this.#options.given(name);
      if (given === undefined && value !== undefined) {
        yield* this.#checkNames(one, yield* undefinedNames({ ...one, kind: "user", word: value }, this.#env));
      }
      const own = given ?? (value === undefined ? this.#options.argument(name) : this.#word(value, one));
      this.#args.add(name);
      if (own !== undefined) this.#env.set(name, own);
    }
  }

  #secret(keyword: "ARG" | "ENV", { name, place }: { name: string; place: Place }): void {
    const tokens = "apikey|auth|credentials?|key|password|pword|passwd|secret|token";
    const isSecret = new RegExp(`(?:_|^)(?:${tokens})(?:_|$)`, "i").test(name);
    if (!isSecret || /(?:_|^)(?:public|file|version)(?:_|$)/i.test(name)) return;
    const shown = `${keyword} ${JSON.stringify(name)}`;
    this.#add("secretsUsedInArgOrEnv", place, `Do not use ARG or ENV instructions for sensitive data (${shown})`);
  }

  /** It is the earlier one that has no effect. */
  #once(one: Instruction): void {
    const before = this.#last.get(one.kind);
    const message = `Multiple ${one.spelled} instructions should not be used in the same stage because only the last one will be used`;
    if (before) this.#add("multipleInstructionsDisallowed", before, message);
    this.#last.set(one.kind, one);
  }

  #json(one: Place): void {
    const message = `JSON arguments recommended for ${one.spelled} to prevent unintended behavior related to OS signals`;
    this.#add("jsonArgsRecommended", one, message);
  }

  #workdir(path: string, one: Place): void {
    const message = `Relative workdir ${JSON.stringify(path)} can have unexpected results if the base image changes`;
    if (!this.#workdirSet && !path.startsWith("/")) this.#add("workdirRelativePath", one, message);
    this.#workdirSet = true;
  }

  #ports(one: ListInstruction): void {
    for (const word of one.words.toSorted().flatMap((text) => this.#portWords(text, one))) {
      const spec = specOr(word);
      if (spec?.odd) {
        this.#add("exposeProtoCasing", one, `Defined protocol '${word}' in EXPOSE instruction should be lowercase`);
      }
      if (spec?.mapped) {
        const problem = "EXPOSE instruction should not define an IP address or host-port mapping";
        this.#add("exposeInvalidFormat", one, `${problem}, found '${word}'`);
      }
    }
  }

  #portWords(text: string, place: Place): readonly string[] {
    try {
      return shellWords(text, { escape: place.escape, env: this.#env });
    } catch {
      return [];
    }
  }

  #copy(one: CopyInstruction): void {
    const { ignored } = this.#options;
    if (!ignored.known || one.from !== undefined) return;
    for (const source of one.sources) {
      if (source.kind !== "path") continue;
      const path = posix.normalize(this.#word(source.path, one)).replace(/(?<=.)\/$/, "");
      const isRoot = path === "." || path === "/";
      if (/^https?:\/\//.test(source.path) || (isRoot && !ignored.all) || !ignored.test(path)) continue;
      const what = one.keyword === "ADD" ? "Add" : "Copy";
      const message = `Attempting to ${what} file ${JSON.stringify(path)} that is excluded by .dockerignore`;
      this.#add("copyIgnoredFile", one, message);
    }
  }
}

function specOr(word: string) {
  try {
    return portSpec(word);
  } catch {
    return undefined; // the build fails with it
  }
}

export interface BasePlatform {
  readonly wanted: string;
  readonly has: string;
  readonly image: string;
  readonly findings: Findings;
}

export function checkBasePlatform(from: FromInstruction, { wanted, has, image, findings }: BasePlatform): void {
  const [wantedOs, wantedArchitecture] = wanted.split("/");
  const [os, architecture] = has.split("/");
  if (wantedOs === os && wantedArchitecture === architecture) return;
  const message = `Base image ${image} was pulled with platform ${JSON.stringify(has)}, expected ${JSON.stringify(wanted)} for current build`;
  findings.add(rules.invalidBaseImagePlatform, from, message);
}

import { type Platform, parseReference } from "../../oci/mod.ts";
import { type Expanded, expand } from "../dockerfile/expand.ts";
import type { FromInstruction } from "../dockerfile/instructions.ts";
import { globalArgs } from "../graph/args.ts";
import { formatPlatform, parsePlatform } from "../graph/platform.ts";
import type { Findings } from "./findings.ts";
import { Hints } from "./hints.ts";
import type { LintOptions } from "./lint.ts";
import { rules } from "./rules.ts";

/** What FROM lines tell together with the arguments in front of them. */
export function checkFroms(options: LintOptions, findings: Findings): void {
  const { file } = options;
  const hints = new Hints();
  const env = globalArgs(options);
  const declared = new Set([...env.keys(), ...file.globals.flatMap(({ args }) => args.map(({ name }) => name))]);
  for (const { from } of file.stages) {
    const image = tried(from.image, from, env);
    const platform = from.platform === undefined ? undefined : tried(from.platform, from, env);
    for (const expanded of [image, platform]) checkDeclared(from, { expanded, declared, findings, hints });
    if (platform) checkPlatform(from, { platform, env, options, findings });
  }
  checkDefaults(options, findings);
}

function tried(word: string, from: FromInstruction, env: ReadonlyMap<string, string>): Expanded | undefined {
  try {
    return expand(word, { escape: from.escape, env });
  } catch {
    return undefined;
  }
}

interface Declared {
  readonly expanded: Expanded | undefined;
  readonly declared: ReadonlySet<string>;
  readonly findings: Findings;
  readonly hints: Hints;
}

function checkDeclared(from: FromInstruction, { expanded, declared, findings, hints }: Declared): void {
  for (const name of expanded?.unmatched ?? []) {
    if (declared.has(name)) continue;
    const meant = hints.likely(name, declared);
    const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`;
    findings.add(rules.undefinedArgInFrom, from, `FROM argument '${name}' is not declared${hint}`);
  }
}

interface Platformed {
  readonly platform: Expanded;
  readonly env: ReadonlyMap<string, string>;
  readonly options: LintOptions;
  readonly findings: Findings;
}

function checkPlatform(from: FromInstruction, { platform, env, options, findings }: Platformed): void {
  const { matched, unmatched, text } = platform;
  if (matched.size === 0 && unmatched.size === 0) {
    if (!namesPlatform(from.name ?? "", { text, options })) {
      const message = `FROM --platform flag should not use constant value ${JSON.stringify(text)}`;
      findings.add(rules.fromPlatformFlagConstDisallowed, from, message);
    }
    return;
  }
  const redundant = matched.size === 1 && unmatched.size === 0 && matched.has("TARGETPLATFORM");
  if (!redundant || text !== env.get("TARGETPLATFORM")) return;
  const message = `Setting platform to predefined ${from.platform} in FROM is redundant as this is the default behavior`;
  findings.add(rules.redundantTargetPlatform, from, message);
}

/** A stage that is named after its platform means it. One that is no platform is refused later. */
function namesPlatform(name: string, { text, options }: { text: string; options: LintOptions }): boolean {
  try {
    const { os, architecture } = parsePlatform(text, options.buildPlatform);
    return name.includes(os) || name.includes(architecture);
  } catch {
    return true;
  }
}

/** Base images must be named also when nobody gives an argument. */
function checkDefaults(options: LintOptions, findings: Findings): void {
  const isPlatform = (name: string) => /^(?:TARGET|BUILD)[A-Z]+$/.test(name);
  const own = Object.fromEntries(Object.entries(options.args).filter(([name]) => isPlatform(name)));
  const env = defaultsOf({ ...options, args: own });
  if (!env) return;
  for (const { from } of options.file.stages) {
    const name = tried(from.image, from, env)?.text;
    if (name === undefined) return;
    if (isReference(name)) continue;
    const message = `Default value for ARG ${from.image} results in empty or invalid base image name`;
    findings.add(rules.invalidDefaultArgInFrom, from, message);
  }
}

function defaultsOf(options: LintOptions): Map<string, string> | undefined {
  try {
    return globalArgs(options);
  } catch {
    return undefined; // the build fails with it
  }
}

function isReference(name: string): boolean {
  try {
    parseReference(name);
    return true;
  } catch {
    return false;
  }
}

/** The platform that a FROM asks for. */
export function wantedPlatform(
  from: FromInstruction,
  { env, fallback }: { env: ReadonlyMap<string, string>; fallback: Platform },
): string {
  const text = from.platform === undefined ? "" : (tried(from.platform, from, env)?.text ?? "");
  return formatPlatform(text === "" ? fallback : parsePlatform(text, fallback));
}

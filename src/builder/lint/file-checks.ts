import type { Dockerfile, Stage } from "../dockerfile/dockerfile.ts";
import type { ArgInstruction, FromInstruction, Place } from "../dockerfile/instructions.ts";
import type { Findings } from "./findings.ts";
import { rules } from "./rules.ts";

/** What the text alone tells. */
export function checkFile(file: Dockerfile, findings: Findings): void {
  for (const line of file.emptyContinuations) {
    findings.add(rules.noEmptyContinuation, { line, endLine: line }, "Empty continuation line");
  }
  for (const arg of file.globals) checkArgDescription(arg, findings);
  for (const stage of file.stages) checkStageText(stage, findings);
  checkStageNames(file.stages, findings);
  checkCasing(file.stages, findings);
}

function checkStageText({ from, instructions }: Stage, findings: Findings): void {
  checkFrom(from, findings);
  for (const one of instructions) {
    if (one.kind === "maintainer") {
      const message = "Maintainer instruction is deprecated in favor of using label";
      findings.add(rules.maintainerDeprecated, one, message);
    }
    if (one.kind === "arg") checkArgDescription(one, findings);
  }
}

function checkFrom(from: FromInstruction, findings: Findings): void {
  const { as, name, spelled } = from;
  if (!as || name === undefined) return;
  if (as.name !== as.name.toLowerCase()) {
    findings.add(rules.stageNameCasing, from, `Stage name '${as.name}' should be lowercase`);
  }
  const wanted = isLower(spelled) ? isLower : isUpper(spelled) ? isUpper : () => true;
  if (!wanted(as.keyword)) {
    findings.add(rules.fromAsCasing, from, `'${as.keyword}' and '${spelled}' keywords' casing do not match`);
  }
  checkDescription("FROM", { place: from, names: [name], findings });
}

function checkArgDescription(arg: ArgInstruction, findings: Findings): void {
  checkDescription("ARG", { place: arg, names: arg.args.map(({ name }) => name), findings });
}

interface Described {
  readonly place: Place;
  readonly names: readonly string[];
  readonly findings: Findings;
}

/** The comment right above describes the stage or argument that it starts with. */
function checkDescription(keyword: "ARG" | "FROM", { place, names, findings }: Described): void {
  const [first = ""] = place.comments.at(-1)?.split(" ") ?? [];
  if (place.comments.length === 0 || names.includes(first)) return;
  const name = names.length > 1 ? "<arg_key>" : names[0];
  const message = `Comment for ${keyword} should follow the format: \`# ${name} <description>\``;
  findings.add(rules.invalidDefinitionDescription, place, message);
}

function checkStageNames(stages: readonly Stage[], findings: Findings): void {
  const seen = new Set<string>();
  for (const { from } of stages) {
    const { name } = from;
    if (name === undefined) continue;
    if (name === "context" || name === "scratch") {
      const message = `Stage name should not use the same name as reserved stage ${JSON.stringify(name)}`;
      findings.add(rules.reservedStageName, from, message);
    }
    if (seen.has(name)) {
      const message = `Duplicate stage name ${JSON.stringify(name)}, stage names should be unique`;
      findings.add(rules.duplicateStageName, from, message);
    }
    seen.add(name);
  }
}

/** Capitals win when there are as many of both. */
function checkCasing(stages: readonly Stage[], findings: Findings): void {
  const places: Place[] = stages.flatMap(({ from, instructions }) => [from, ...instructions]);
  const lower = places.filter(({ spelled }) => isLower(spelled)).length;
  const upper = places.filter(({ spelled }) => isUpper(spelled)).length;
  const [fits, wanted] = lower > upper ? [isLower, "lowercase"] : [isUpper, "uppercase"];
  for (const place of places) {
    if (fits(place.spelled)) continue;
    const message = `Command '${place.spelled}' should match the case of the command majority (${wanted})`;
    findings.add(rules.consistentInstructionCasing, place, message);
  }
}

function isLower(text: string): boolean {
  return text === text.toLowerCase();
}

function isUpper(text: string): boolean {
  return text === text.toUpperCase();
}

import { isKind, messageOf } from "../errors/mod.ts";
import type { CheckResult } from "../wire/mod.ts";
import type { BuildContext, CheckOptions, Description } from "./builder.ts";
import type { BuilderContext } from "./context.ts";
import { ContextFiles } from "./context-files.ts";
import { type Dockerfile, parsing } from "./dockerfile/dockerfile.ts";
import { type Lines, linesOf } from "./dockerfile/error.ts";
import { quoteLines, type Source } from "./dockerfile/quote.ts";
import { inSlices } from "./dockerfile/slices.ts";
import { placed } from "./failure-place.ts";
import { type GraphOptions, imageKey, type ResolvedImage } from "./graph/graph.ts";
import { graphing } from "./graph/to-graph.ts";
import { details, type Finding } from "./lint/findings.ts";
import { linting } from "./lint/lint.ts";
import { outlineOf, targetsOf } from "./outline.ts";
import { givenOptions, type PlanInput } from "./plan.ts";
import { imageHere } from "./resolve.ts";

/** See `Builder.describe`. */
export async function describe(
  context: BuilderContext,
  files: BuildContext,
  options: CheckOptions,
): Promise<Description> {
  await using undo = new AsyncDisposableStack();
  const contextFiles = undo.use(new ContextFiles(context.host.workers, files));
  const source = await contextFiles.source();
  const file = await parsed(source);
  return {
    source,
    check: await checked(context, { source, options, ignore: files.ignore ?? [], file }),
    targets: () => inPlace(source, () => targetsOf(file())),
    outline: () => inPlace(source, () => outlineOf(givenOptions(context, { file: file(), options }))),
  };
}

function inPlace<T>(source: Source, work: () => T): T {
  try {
    return work();
  } catch (err) {
    throw placed(err, source);
  }
}

/** Gives what the text is, or throws what is wrong with it. */
async function parsed({ text }: Source): Promise<() => Dockerfile> {
  try {
    const file = await inSlices(parsing(text));
    return () => file;
  } catch (err) {
    return () => {
      throw err;
    };
  }
}

interface Checking extends PlanInput<CheckOptions> {
  file(): Dockerfile;
}

async function checked(context: BuilderContext, { source, options, ignore, file }: Checking): Promise<CheckResult> {
  const here = (name: string, platform?: string) => imageHere(context, { name, ...(platform && { platform }) });
  const found: Finding[] = [];
  try {
    const given = givenOptions(context, { file: file(), options });
    const { stages, problem } = await tryGraph(given, here);
    const image = (name: string, platform?: string) => here(name, platform)?.config;
    const linted = await inSlices(linting({ ...given, ignore, image, ...(given.target && stages && { stages }) }));
    for (const one of linted) found.push(one);
    if (problem) throw problem;
  } catch (err) {
    if (!isKind(err, "invalid")) throw err;
    return resultOf(found, { source, problem: { message: messageOf(err), lines: linesOf(err) } });
  }
  return resultOf(found, { source });
}

interface Tried {
  /** Those that the target needs, as far as the images that are here let it be seen. */
  readonly stages?: ReadonlySet<number>;
  /** What would end the build before its first step, as far as that can be seen. */
  readonly problem?: unknown;
}

async function tryGraph(
  given: Omit<GraphOptions, "images">,
  here: (name: string, platform?: string) => ResolvedImage | undefined,
): Promise<Tried> {
  const images = new Map<string, ResolvedImage>();
  try {
    for (;;) {
      const outcome = await inSlices(graphing({ ...given, images }));
      if (outcome.kind === "graph") return { stages: outcome.graph.stages };
      const known = outcome.images.flatMap((needed) => {
        const image = here(needed.name, needed.platform);
        return image ? [[imageKey(needed), image] as const] : [];
      });
      if (known.length < outcome.images.length) return {};
      for (const [key, image] of known) images.set(key, image);
    }
  } catch (problem) {
    return { problem };
  }
}

interface Problem {
  readonly message: string;
  readonly lines: Lines | undefined;
}

function resultOf(
  findings: readonly Finding[],
  { source, problem }: { source: Source; problem?: Problem },
): CheckResult {
  const place = problem?.lines && { StartLine: problem.lines.line, EndLine: problem.lines.endLine };
  return {
    Warnings: warningsOf(findings),
    ...(problem && { Error: { Message: problem.message, ...place } }),
    Text: textOf(findings, { source, ...(problem && { problem }) }),
  };
}

export function warningsOf(findings: readonly Finding[]): CheckResult["Warnings"] {
  return findings.map(({ rule, message, lines }) => ({
    Rule: rule.name,
    Description: rule.description,
    ...(rule.url !== undefined && { URL: rule.url }),
    Detail: message,
    StartLine: lines.line,
    EndLine: lines.endLine,
  }));
}

/** In the words of `docker build --check`. */
function textOf(findings: readonly Finding[], { source, problem }: { source: Source; problem?: Problem }): string {
  const error = problem && `${problem.message}\n${problem.lines ? quoteLines(source, problem.lines) : ""}`;
  if (findings.length === 0) return error ?? "Check complete, no warnings found.\n";
  const count = findings.length === 1 ? "1 warning has been found!" : `${findings.length} warnings have been found!`;
  return `Check complete, ${count}\n${details(findings, source)}${error ? `\n${error}` : ""}`;
}

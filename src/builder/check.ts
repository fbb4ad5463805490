import { isKind, messageOf } from "../errors/mod.ts";
import type { CheckResult } from "../wire/mod.ts";
import type { BuildContext, CheckOptions, Description } from "./builder.ts";
import type { BuilderContext } from "./context.ts";
import { ContextFiles } from "./context-files.ts";
import { parseDockerfile } from "./dockerfile/dockerfile.ts";
import { type Lines, linesOf } from "./dockerfile/error.ts";
import { quoteLines, type Source } from "./dockerfile/quote.ts";
import { placed } from "./failure-place.ts";
import { type GraphOptions, imageKey, type ResolvedImage } from "./graph/graph.ts";
import { toGraph } from "./graph/to-graph.ts";
import { details, type Finding } from "./lint/findings.ts";
import { lint } from "./lint/lint.ts";
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
  return {
    source,
    check: checked(context, { source, options, ignore: files.ignore ?? [] }),
    targets: () => inPlace(source, () => targetsOf(parseDockerfile(source.text))),
    outline: () => inPlace(source, () => outlineOf(givenOptions(context, { source, options }))),
  };
}

function inPlace<T>(source: Source, work: () => T): T {
  try {
    return work();
  } catch (err) {
    throw placed(err, source);
  }
}

function checked(context: BuilderContext, { source, options, ignore }: PlanInput<CheckOptions>): CheckResult {
  const here = (name: string, platform?: string) => imageHere(context, { name, ...(platform && { platform }) });
  const found: Finding[] = [];
  try {
    const given = givenOptions(context, { source, options });
    const { stages, problem } = tryGraph(given, here);
    const image = (name: string, platform?: string) => here(name, platform)?.config;
    found.push(...lint({ ...given, ignore, image, ...(given.target && stages && { stages }) }));
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

function tryGraph(
  given: Omit<GraphOptions, "images">,
  here: (name: string, platform?: string) => ResolvedImage | undefined,
): Tried {
  const images = new Map<string, ResolvedImage>();
  try {
    for (;;) {
      const outcome = toGraph({ ...given, images });
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

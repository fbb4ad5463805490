import { EngineError } from "../../errors/mod.ts";
import type { Lines } from "../dockerfile/error.ts";
import { quoter, type Source } from "../dockerfile/quote.ts";
import { type CheckConfig, runs } from "./config.ts";
import type { Rule } from "./rules.ts";

/** What a check found. */
export interface Finding {
  readonly rule: Rule;
  readonly message: string;
  readonly lines: Lines;
}

/** Where something was found: the comments above it can turn rules off. */
export type FindingPlace = Lines & { readonly comments?: readonly string[] };

/** As many as instructions in a Dockerfile: a hostile one had 200,000, and an answer of 300 MB. */
const mostFindings = 20_000;

/** Collects what the rules find that are not turned off. */
export class Findings {
  readonly #config: CheckConfig;
  readonly #found: Finding[] = [];

  constructor(config: CheckConfig) {
    this.#config = config;
  }

  /** Throws "invalid" when there are too many. */
  add(rule: Rule, { line, endLine, comments = [] }: FindingPlace, message: string): void {
    if (!runs(rule, { config: this.#config, comments })) return;
    if (this.#found.length === mostFindings) throw new EngineError("invalid", `more than ${mostFindings} findings`);
    this.#found.push({ rule, message, lines: { line, endLine } });
  }

  /** In the order of the file. */
  sorted(): Finding[] {
    return this.#found.toSorted((a, b) => a.lines.line - b.lines.line);
  }
}

/** What a build tells after its steps. */
export function summary(findings: readonly Finding[]): string {
  const count = `${findings.length} warning${findings.length === 1 ? "" : "s"} found`;
  const lines = findings.map(({ rule, message, lines: { line } }) => ` - ${rule.name}: ${message} (line ${line})\n`);
  return ` ${count} (use berth build --check to expand):\n${lines.join("")}`;
}

/** In characters; one instruction can have 200,000 findings, and 40 lines that are quoted for each. */
const mostQuoted = 4 * 1024 * 1024;

/** Everything about each finding, as `docker build --check` prints it. */
export function details(findings: readonly Finding[], source: Source): string {
  const quote = quoter(source);
  let left = mostQuoted;
  return findings
    .map(({ rule, message, lines }) => {
      const quoted = left > 0 ? quote(lines) : "";
      left -= quoted.length;
      const url = rule.url === undefined ? "" : ` - ${rule.url}`;
      return `\nWARNING: ${rule.name}${url}\n${message}\n${quoted}`;
    })
    .join("");
}

/** `lint violation found for rules: A, B` */
export function violation(findings: readonly Finding[]): string {
  const names = new Set(findings.map(({ rule }) => rule.name));
  return `lint violation found for rules: ${[...names].sort().join(", ")}`;
}

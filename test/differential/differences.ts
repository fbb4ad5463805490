import { readFileSync } from "node:fs";
import type { Answer } from "./answer.ts";
import { compare } from "./compare.ts";

/** Lines that dockerd has (`-`) or that Berth has (`+`), in some answers, for a reason. */
interface Rule {
  readonly reason: string;
  /** The major version of the CLI with which alone it differs; any when undefined. */
  readonly cli: string | undefined;
  readonly places: readonly RegExp[];
  readonly sign: string;
  readonly line: string;
  readonly pattern: RegExp;
}

/**
 * The known differences. In `differences.txt` a line in brackets says why they are there; `in TOPIC/NAME:STEP…` says where,
 * `cli MAJOR` with which CLI alone, until `cli any`; then come the lines that differ, golden ones with `-` and Berth's with `+` in front. A
 * `*` stands for anything.
 */
export class Differences {
  readonly #rules: readonly Rule[];
  readonly #used = new Set<Rule>();

  constructor(text = readFileSync(`${import.meta.dir}/differences.txt`, "utf8")) {
    this.#rules = parse(text);
  }

  /** What differs and is not listed, as lines with `-` and `+` in front. */
  unlisted(place: string, { cli, golden, answer }: { cli: string; golden: Answer; answer: Answer }): string[] {
    return compare(golden, answer).filter((change) => !this.#listed(place, { cli, change }));
  }

  /** Reasons without a row in the document, whose first column they are. */
  undocumented(document: string): string[] {
    const rows = new Set(document.split("\n").map((line) => line.split("|")[1]?.trim()));
    return [...new Set(this.#rules.map(({ reason }) => reason))].filter((reason) => !rows.has(reason));
  }

  /** The listed ones that have not been seen: they differ no longer. */
  stale(cli: string): string[] {
    return this.#rules
      .filter((rule) => (rule.cli === undefined || rule.cli === cli) && !this.#used.has(rule))
      .map(({ reason, sign, line }) => `[${reason}] ${sign} ${line}`);
  }

  #listed(place: string, { cli, change }: { cli: string; change: string }): boolean {
    const fitting = this.#rules.filter(
      (rule) =>
        rule.sign === change[0] &&
        (rule.cli === undefined || rule.cli === cli) &&
        rule.places.some((pattern) => pattern.test(place)) &&
        rule.pattern.test(change.slice(2)),
    );
    for (const rule of fitting) this.#used.add(rule);
    return fitting.length > 0;
  }
}

function parse(text: string): Rule[] {
  const rules: Rule[] = [];
  let head: Pick<Rule, "reason" | "cli" | "places"> = { reason: "", cli: undefined, places: [] };
  for (const line of text.split("\n")) {
    const reason = /^\[(.+)\]$/.exec(line)?.[1];
    const [word = "", ...rest] = line.split(" ");
    if (line === "" || word === "#") continue;
    else if (reason !== undefined) head = { reason, cli: undefined, places: [] };
    else if (word === "in") head = { ...head, places: rest.map(wildcard) };
    else if (word === "cli") head = { ...head, cli: rest[0] === "any" ? undefined : rest[0] };
    else if (word === "-" || word === "+") rules.push({ ...head, sign: word, ...pattern(line.slice(2)) });
    else throw new Error(`differences.txt: not understood: ${line}`);
  }
  return rules;
}

function pattern(line: string): Pick<Rule, "line" | "pattern"> {
  return { line, pattern: wildcard(line) };
}

function wildcard(text: string): RegExp {
  return new RegExp(`^${text.split("*").map(RegExp.escape).join(".*")}$`);
}

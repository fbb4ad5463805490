import type { Query } from "../db/mod.ts";
import { familiar, familiarName, parseReference } from "../oci/mod.ts";
import { type Filters, filterUntil, labelTest } from "../wire/mod.ts";
import { requireRow } from "./find.ts";
import { globMatcher } from "./glob.ts";
import type { ImageRow, NameRow } from "./table.ts";

export interface Candidate {
  readonly row: ImageRow;
  readonly labels: Readonly<Record<string, string>>;
  readonly names: readonly NameRow[];
}

export type Test = (candidate: Candidate) => boolean;

/** Every test of the filter that looks at one image alone; `dangling` and `reference` are the caller's. */
export function testsOf(q: Query, filter: Filters): Test[] {
  const tests: Test[] = [];
  for (const name of filter.get("before") ?? []) {
    const { created } = requireRow(q, name);
    tests.push(({ row }) => row.created < created);
  }
  for (const name of filter.get("since") ?? []) {
    const { created } = requireRow(q, name);
    tests.push(({ row }) => row.created > created);
  }
  const [until, hasLabels] = [filterUntil(filter), labelTest(filter)];
  return [...tests, ({ row, labels }) => row.created < until && hasLabels(labels)];
}

/** True for names that one of the patterns matches, with or without their tag (reference.FamiliarMatch). */
export function referenceMatcher(filter: Filters): ((name: NameRow) => boolean) | undefined {
  const matchers = filter.get("reference")?.map(globMatcher);
  if (!matchers || matchers.length === 0) return undefined;
  return ({ name }) => {
    const ref = parseReference(name);
    return matchers.some((matches) => matches(familiar(ref)) || matches(familiarName(ref)));
  };
}

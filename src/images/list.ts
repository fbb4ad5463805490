import type { Query } from "../db/mod.ts";
import { familiar, type ImageConfig, parseReference } from "../oci/mod.ts";
import { type Filters, filterFlag, type ImageSummary, requireFilters } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { type Candidate, referenceMatcher, testsOf } from "./filters.ts";
import { allImages, allNames, type NameRow, parents, sharedSizes } from "./table.ts";

export interface ListOptions {
  readonly filter: Filters;
  readonly all: boolean;
  readonly sharedSize: boolean;
}

const known = ["dangling", "label", "label!", "before", "since", "reference", "until"];

/** Newest first. Images that are only steps on the way to another one (no name, children) need `all`. */
export function listImages({ db }: Context, options: ListOptions): ImageSummary[] {
  requireFilters(options.filter, known);
  return db.read((q) => {
    const shown = selected(q, options);
    const shared = options.sharedSize ? sharedSizes(q) : undefined;
    return shown.map((candidate) => summary(candidate, shared && (shared.get(candidate.row.id) ?? 0)));
  });
}

function selected(q: Query, { filter, all }: ListOptions): Candidate[] {
  const names = Map.groupBy(allNames(q), (row) => row.image);
  const steps = parents(q);
  const dangling = filterFlag(filter, "dangling");
  const matches = referenceMatcher(filter);
  const tests = testsOf(q, filter);
  const found: Candidate[] = [];
  for (const row of allImages(q)) {
    const own = names.get(row.id) ?? [];
    if (own.length === 0 && !all && steps.has(row.id)) continue;
    if (dangling !== undefined && dangling !== own.every((name) => name.is_digest === 1)) continue;
    const shown = matches ? own.filter(matches) : own;
    if (matches && shown.length === 0) continue;
    const candidate = { row, names: shown, labels: (JSON.parse(row.config) as ImageConfig).config?.Labels ?? {} };
    if (tests.every((test) => test(candidate))) found.push(candidate);
  }
  return found;
}

function summary({ row, names, labels }: Candidate, shared: number | undefined): ImageSummary {
  return {
    Id: row.id,
    ParentId: row.parent ?? "",
    ...repoNames(names),
    Created: Math.floor(row.created / 1000),
    Size: row.size,
    SharedSize: shared ?? -1,
    Labels: Object.keys(labels).length > 0 ? labels : null,
    Containers: -1,
  };
}

/** Tags and digests as users know them. */
export function repoNames(names: readonly NameRow[]): { RepoTags: string[]; RepoDigests: string[] } {
  const shown = (digest: number) =>
    names.filter((row) => row.is_digest === digest).map((row) => familiar(parseReference(row.name)));
  return { RepoTags: shown(0), RepoDigests: shown(1) };
}

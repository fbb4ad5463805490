import { EngineError } from "../errors/mod.ts";
import { re2 } from "../patterns/mod.ts";
import { type Filters, filterFlag, hasLabel } from "../wire/mod.ts";
import { isMounted } from "./mounts/options.ts";
import type { VolumeRow } from "./table.ts";

export type VolumePredicate = (volume: VolumeRow, held: boolean) => boolean;

type Maker = (values: readonly string[], filters: Filters) => VolumePredicate;

const forList: Readonly<Record<string, Maker>> = {
  name: (values) => {
    const matches = re2(values);
    return (volume) => values.includes(volume.name) || matches(volume.name);
  },
  driver: (values) => (volume) => values.includes(volume.driver),
  label: (values) => (volume) => values.every((value) => hasLabel(volume.labels, value)),
  dangling: (_, filters) => {
    const wanted = filterFlag(filters, "dangling");
    return (_, held) => held !== wanted;
  },
};

const forPrune: Readonly<Record<string, Maker>> = {
  label: (values) => (volume) => values.every((value) => hasLabel(volume.labels, value)),
  "label!": (values) => (volume) => !values.some((value) => hasLabel(volume.labels, value)),
  all: (_, filters) => {
    const all = filterFlag(filters, "all");
    return (volume) => all === true || volume.anonymous;
  },
};

/** Docker's filters of `volume ls`: keys add up. Throws "invalid" for others. */
export function listFilter(filters: Filters): VolumePredicate {
  return conjunction(filters, forList);
}

/**
 * Those of `volume prune`: what nobody holds, and of that only the anonymous, unless `all` is set. As with Docker, never
 * those with driver options: what they lead to is not the engine's.
 */
export function pruneFilter(filters: Filters): VolumePredicate {
  const matches = conjunction(filters.has("all") ? filters : new Map([...filters, ["all", ["false"]]]), forPrune);
  return (volume, held) => !held && !isMounted(volume.options) && matches(volume, held);
}

function conjunction(filters: Filters, known: Readonly<Record<string, Maker>>): VolumePredicate {
  const predicates = [...filters].map(([key, values]) => {
    const make = Object.hasOwn(known, key) ? known[key] : undefined;
    if (!make) throw new EngineError("invalid", `invalid filter '${key}'`);
    return values.length === 0 ? () => true : make(values, filters);
  });
  return (volume, held) => predicates.every((matches) => matches(volume, held));
}

import { EngineError } from "../errors/mod.ts";
import type { Filters } from "../wire/mod.ts";
import type { VolumeRow } from "./table.ts";

export type VolumePredicate = (volume: VolumeRow, held: boolean) => boolean;

type Maker = (values: readonly string[]) => VolumePredicate;

const forList: Readonly<Record<string, Maker>> = {
  name: (values) => (volume) => values.some((value) => volume.name.includes(value)),
  driver: (values) => (volume) => values.includes(volume.driver),
  label: (values) => (volume) => values.every((value) => hasLabel(volume, value)),
  dangling: (values) => {
    const wanted = flag("dangling", values);
    return (_, held) => held !== wanted;
  },
};

const forPrune: Readonly<Record<string, Maker>> = {
  label: (values) => (volume) => values.every((value) => hasLabel(volume, value)),
  "label!": (values) => (volume) => !values.some((value) => hasLabel(volume, value)),
  all: (values) => {
    const all = flag("all", values);
    return (volume) => all || volume.anonymous;
  },
};

/** Docker's filters of `volume ls`: keys add up. Throws "invalid" for others. */
export function listFilter(filters: Filters): VolumePredicate {
  return conjunction(filters, forList);
}

/** Those of `volume prune`: what nobody holds, and of that only the anonymous, unless `all` is set. */
export function pruneFilter(filters: Filters): VolumePredicate {
  const matches = conjunction(filters.has("all") ? filters : new Map([...filters, ["all", ["false"]]]), forPrune);
  return (volume, held) => !held && matches(volume, held);
}

function conjunction(filters: Filters, known: Readonly<Record<string, Maker>>): VolumePredicate {
  const predicates = [...filters].map(([key, values]) => {
    const make = Object.hasOwn(known, key) ? known[key] : undefined;
    if (!make) throw new EngineError("invalid", `invalid filter '${key}'`);
    return values.length === 0 ? () => true : make(values);
  });
  return (volume, held) => predicates.every((matches) => matches(volume, held));
}

function hasLabel({ labels }: VolumeRow, wanted: string): boolean {
  const at = wanted.indexOf("=");
  const key = at < 0 ? wanted : wanted.slice(0, at);
  return Object.hasOwn(labels, key) && (at < 0 || labels[key] === wanted.slice(at + 1));
}

function flag(key: string, values: readonly string[]): boolean {
  if (values.every((value) => value === "1" || value === "true")) return true;
  if (values.every((value) => value === "0" || value === "false")) return false;
  throw new EngineError("invalid", `invalid filter '${key}=[${values.join(" ")}]'`);
}

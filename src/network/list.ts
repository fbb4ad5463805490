import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { re2 } from "../patterns/mod.ts";
import { type Filters, filterFlag, hasLabel, type NetworkInspect, requireFilters } from "../wire/mod.ts";
import { inspectNetwork, isPredefined } from "./inspect.ts";
import { endpointsByNetwork, networks } from "./table.ts";

export function listNetworks(q: Query, filter: Filters): NetworkInspect[] {
  requireFilters(filter, ["name", "id", "driver", "type", "label", "scope", "dangling"]);
  const dangling = filterFlag(filter, "dangling");
  const tests = [...filter].filter(([, values]) => values.length > 0).map(([key, values]) => filterTest(key, values));
  const endpoints = endpointsByNetwork(q);
  const all = networks(q).map((row) => inspectNetwork(row, endpoints.get(row.id) ?? []));
  const wanted = all.filter((network) => dangling === undefined || isDangling(network) === dangling);
  return wanted.filter((network) => tests.every((test) => test(network)));
}

/** Values of "label" must all match, those of the other filters are alternatives, as Docker has it. */
function filterTest(key: string, values: readonly string[]): (network: NetworkInspect) => boolean {
  switch (key) {
    case "name":
      return matching(values, ({ Name }) => Name);
    case "id":
      return matching(values, ({ Id }) => Id);
    case "driver":
      return ({ Driver }) => values.includes(Driver);
    case "scope":
      return ({ Scope }) => values.includes(Scope);
    case "label":
      return ({ Labels }) => values.every((value) => hasLabel(Labels, value));
    case "type":
      return ofTypes(values);
    default:
      return () => true; // "dangling", which has been seen to
  }
}

/** The text itself, or a regular expression that matches in it. */
function matching(
  values: readonly string[],
  field: (network: NetworkInspect) => string,
): (network: NetworkInspect) => boolean {
  const matches = re2(values);
  return (network) => values.includes(field(network)) || matches(field(network));
}

function ofTypes(values: readonly string[]): (network: NetworkInspect) => boolean {
  const wrong = values.find((value) => value !== "custom" && value !== "builtin");
  if (wrong !== undefined) throw new EngineError("invalid", `invalid filter: 'type'='${wrong}'`);
  return ({ Name }) => values.includes(isPredefined(Name) ? "builtin" : "custom");
}

function isDangling(network: NetworkInspect): boolean {
  return !isPredefined(network.Name) && Object.keys(network.Containers).length === 0;
}

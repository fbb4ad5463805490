import { type EventMessage, type Filters, hasLabel, requireFilters } from "../wire/mod.ts";

/** Keys that name an object: values match events of that type by the beginning of an id or a name (moby `daemon/events/filter.go`). */
const objects = ["config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume"];
const others = ["event", "image", "label", "scope", "type"];
/** Actions that are followed by a colon and details: a filter for one of them matches by its beginning. */
const detailed = ["exec_create", "exec_start", "health_status"];

export type EventTest = (event: EventMessage) => boolean;

/**
 * Docker's event filters: values of one key are alternatives, but for labels, of which all must be there; keys add up. There
 * is no swarm, so filters for its objects match nothing. Throws "invalid" for a key that Docker does not have.
 */
export function eventTest(filter: Filters): EventTest {
  requireFilters(filter, [...objects, ...others]);
  const tests = [...filter].filter(([, values]) => values.length > 0).map(([key, values]) => testOf(key, values));
  return (event) => tests.every((test) => test(event));
}

function testOf(key: string, values: readonly string[]): EventTest {
  switch (key) {
    case "type":
      return ({ Type }) => values.includes(Type);
    case "scope":
      return ({ scope }) => values.includes(scope);
    case "label":
      return ({ Actor }) => values.every((value) => hasLabel(Actor.Attributes, value));
    case "event":
      return actionTest(values);
    case "image":
      return (event) => imageNames(event).some((name) => values.includes(name));
    default:
      return (event) => event.Type === key && names(event).some((name) => values.some((v) => name.startsWith(v)));
  }
}

function actionTest(values: readonly string[]): EventTest {
  const loosely = values.some((value) => detailed.includes(value));
  return ({ Action }) => values.some((value) => (loosely ? Action.startsWith(value) : Action === value));
}

function names({ Actor }: EventMessage): string[] {
  const name = attribute(Actor.Attributes, "name");
  return name === undefined ? [Actor.ID] : [Actor.ID, name];
}

/** An image's events have its name, those of others say which image they are of; a filter may leave the tag away. */
function imageNames({ Type, Actor }: EventMessage): string[] {
  const name = attribute(Actor.Attributes, Type === "image" ? "name" : "image") ?? "";
  return [Actor.ID, name, withoutTag(Actor.ID), withoutTag(name)].filter((one) => one !== "");
}

function withoutTag(name: string): string {
  return /^[^@]*(?=@)/.exec(name)?.[0] ?? name.replace(/:[^:/]*$/, "");
}

function attribute(attributes: EventMessage["Actor"]["Attributes"], key: string): string | undefined {
  return Object.hasOwn(attributes, key) ? attributes[key] : undefined;
}

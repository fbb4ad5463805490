import { text } from "../../flags/mod.ts";
import type { EventMessage } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { templateOf } from "../output/format.ts";
import { isoNanoseconds } from "../output/units.ts";
import { filterFlag, filtersOf } from "../session/filters.ts";

export const events = command({
  name: "events",
  summary: "Get real time events from the server",
  usage: "[OPTIONS]",
  examples: ["berth events --filter type=container --filter event=die"],
  flags: {
    filter: filterFlag("Filter output based on conditions provided", { short: "f" }),
    format: text("Format output: json, or a Go template"),
    since: text("Show all events created since timestamp"),
    until: text("Stream events until this timestamp"),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const { since, until } = flags;
    const query = { since: since || undefined, until: until || undefined, filters: filtersOf(flags.filter) };
    const shown = rendering(flags.format);
    const lines = client.lines<EventMessage & { readonly timeNano: number }>({ method: "GET", path: "/events", query });
    for await (const event of lines) await io.stdout.write(`${shown(event)}\n`);
    return 0;
  },
});

function rendering(format: string): (event: EventMessage) => string {
  if (format === "") return eventText;
  return format === "json" ? (event) => JSON.stringify(event) : templateOf(format);
}

function eventText({ Type, Action, Actor, time, timeNano }: EventMessage): string {
  const attributes = Object.entries(Actor.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const details = attributes.length > 0 ? ` (${attributes.join(", ")})` : "";
  return `${isoNanoseconds(instantOf(time, timeNano))} ${Type} ${Action} ${Actor.ID}${details}`;
}

/** JSON numbers carry nanoseconds since 1970 to about a quarter of a microsecond; the second they belong to is exact. */
function instantOf(time: number, timeNano: number | undefined): bigint {
  return timeNano === undefined ? BigInt(time) * 1_000_000_000n : BigInt(timeNano);
}

import type { Db } from "../../db/mod.ts";
import type { EventMessage } from "../../wire/mod.ts";
import type { Events } from "../events.ts";

/** Everything that has been published, oldest first. */
export function storedEvents(events: Events, db: Db): EventMessage[] {
  events[Symbol.dispose](); // writes what waits
  const rows = db.read((q) => q.all<{ body: string }>("SELECT body FROM events ORDER BY seq"));
  return rows.map(({ body }) => JSON.parse(body) as EventMessage);
}

import type { Tx } from "../db/mod.ts";
import type { Context } from "./context.ts";
import type { Row } from "./table.ts";

type Who = Pick<Row, "id" | "name" | "config">;

/** Publishes a container event with image, name and labels, as Docker has them. */
export function publish(ctx: Context, row: Who, event: ContainerEvent): void {
  const attributes = { ...row.config.Labels, image: row.config.Image, name: row.name, ...event.attributes };
  ctx.events.publish({ type: "container", action: event.action, id: row.id, attributes });
}

/** A command as the actions of an exec have it: with a space at the end where there are no arguments. */
export function commandText([program = "", ...args]: readonly string[]): string {
  return `${program} ${args.join(" ")}`;
}

export interface ContainerEvent {
  readonly action: string;
  readonly attributes?: Readonly<Record<string, string>>;
}

/** For the `also` of a row's write: the events leave after its commit. */
export function publishing(ctx: Context, ...events: readonly ContainerEvent[]): (tx: Tx, row: Row) => void {
  return (tx, row) =>
    tx.afterCommit(() => {
      for (const event of events) publish(ctx, row, event);
    });
}

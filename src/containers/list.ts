import type { ContainerSummary, Filters } from "../wire/mod.ts";
import { millis } from "./clock.ts";
import { argvOf } from "./config.ts";
import type { Context } from "./context.ts";
import { networkSummary } from "./endpoints.ts";
import { compileFilters } from "./filters.ts";
import { linkNames } from "./links/links.ts";
import { mountPoints } from "./mount-points.ts";
import { sizes } from "./sizes.ts";
import { statusOf, statusText } from "./status.ts";
import type { Row } from "./table.ts";
import { isLive } from "./transition.ts";

export interface ListOptions {
  readonly all: boolean;
  /** 0 or less means no limit; a limit includes containers that do not run. */
  readonly limit: number;
  readonly size: boolean;
  readonly filter: Filters;
}

/** Newest first. Reads rows, takes no lock. */
export async function list(ctx: Context, options: ListOptions): Promise<ContainerSummary[]> {
  const { filter, limit } = options;
  const accepts = compileFilters(ctx, filter);
  const everything = options.all || limit > 0 || (filter.get("status") ?? []).length > 0;
  const found: Row[] = [];
  const turns = new Turns();
  for (const row of [...ctx.table.all()].reverse()) {
    if (limit > 0 && found.length >= limit) break;
    await turns.next();
    if (row.phase === "creating") continue;
    if (!everything && !isLive(row.phase) && row.phase !== "restarting") continue;
    if (accepts(row)) found.push(row);
  }
  const names = linkNames(ctx.table);
  return Promise.all(found.map((row) => summary(ctx, row, { size: options.size, names: names.get(row.id) ?? [] })));
}

/** Milliseconds that a list may take before others get their turn: filters are a client's, and there may be many rows. */
const longestTurn = 10;

class Turns {
  #began = performance.now();

  async next(): Promise<void> {
    if (performance.now() - this.#began < longestTurn) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#began = performance.now();
  }
}

interface Extra {
  readonly size: boolean;
  /** Those that links of other containers give it. */
  readonly names: readonly string[];
}

async function summary(ctx: Context, row: Row, { size, names }: Extra): Promise<ContainerSummary> {
  const { hostConfig } = row;
  const { ports, networks } = networkSummary(ctx, row);
  return {
    Id: row.id,
    Names: [`/${row.name}`, ...names],
    Image: row.config.Image,
    ImageID: row.imageId,
    Command: argvOf(row.config).map(quoted).join(" "),
    Created: Math.floor(millis(row.created) / 1000),
    Ports: ports,
    ...(size && (await sizes(ctx, row))),
    Labels: row.config.Labels,
    State: statusOf(row),
    Status: statusText(row, Date.now(), ctx.health.of(row.id)),
    HostConfig: {
      NetworkMode: hostConfig.NetworkMode,
      ...(hostConfig.Annotations && { Annotations: hostConfig.Annotations }),
    },
    NetworkSettings: { Networks: networks },
    Mounts: mountPoints(row),
  };
}

/** Arguments with spaces in quotes, as moby's view does. */
function quoted(argument: string): string {
  return argument.includes(" ") ? `'${argument}'` : argument;
}

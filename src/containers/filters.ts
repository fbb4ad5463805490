import { EngineError, isKind } from "../errors/mod.ts";
import { re2 } from "../patterns/mod.ts";
import { type Filters, filterFlag, hasLabel } from "../wire/mod.ts";
import type { Context } from "./context.ts";
import { networksOf } from "./endpoints.ts";
import { isPortFilter, portTest } from "./port-filters.ts";
import { resolve } from "./refs.ts";
import { statusOf } from "./status.ts";
import type { Row } from "./table.ts";

type Test = (row: Row) => boolean;
type Compile = (ctx: Context, values: readonly string[]) => Test;

const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];

/** One entry per key that Docker knows; each turns its values into a test of rows, or throws "invalid". */
const compilers: Readonly<Record<string, Compile>> = {
  id: (_, values) => {
    const matches = textTest(values);
    return (row) => values.some((value) => row.id.startsWith(value)) || matches(row.id);
  },
  name: (_, values) => {
    const matches = textTest(values);
    return (row) => matches(row.name) || matches(`/${row.name}`);
  },
  label: (_, values) => (row) => values.every((value) => hasLabel(row.config.Labels, value)),
  "label!": (_, values) => (row) => !values.some((value) => hasLabel(row.config.Labels, value)),
  exited: (_, values) => {
    const codes = new Set(values.map((value) => number("exited", value)));
    return (row) => row.phase === "exited" && codes.has(row.exitCode);
  },
  status: (_, values) => {
    for (const value of values) if (!statuses.includes(value)) throw bad("status", value);
    return (row) => values.includes(statusOf(row));
  },
  ancestor: (ctx, values) => ancestor(ctx, values),
  before: (ctx, values) => relative(ctx, { values, wanted: (at, mark) => at < mark }),
  since: (ctx, values) => relative(ctx, { values, wanted: (at, mark) => at > mark }),
  volume: (_, values) => (row) =>
    row.mounts.some((entry) => values.includes(entry.name ?? entry.source) || values.includes(entry.destination)),
  network: (ctx, values) => (row) =>
    Object.entries(networksOf(ctx, row)).some(
      ([name, { NetworkID }]) => values.includes(name) || values.some((value) => value && NetworkID.startsWith(value)),
    ),
  health: (ctx, values) => {
    const known = ["starting", "healthy", "unhealthy", "none"];
    for (const value of values) if (!known.includes(value)) throw bad("health", value);
    return (row) => values.includes(ctx.health.of(row.id)?.Status ?? "none");
  },
  "is-task": (_, values) => {
    const wanted = filterFlag(new Map([["is-task", values]]), "is-task");
    return () => wanted !== true;
  },
  isolation: () => () => true,
};

/** Throws "invalid" for a key or value that Docker refuses. */
export function compileFilters(ctx: Context, filter: Filters): Test {
  const tests = [...filter].map(([key, values]) => {
    const compile = Object.hasOwn(compilers, key) ? compilers[key] : undefined;
    if (!compile && !isPortFilter(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
    return !compile || values.length === 0 ? () => true : compile(ctx, values);
  });
  const hasPort = portTest(ctx, filter);
  return (row) => tests.every((test) => test(row)) && hasPort(row);
}

function bad(key: string, value: string): EngineError {
  return new EngineError("invalid", `invalid filter '${key}=${value}'`);
}

function number(key: string, value: string): number {
  if (/^-?\d+$/.test(value)) return Number(value);
  throw bad(key, value);
}

/** Values are whole texts or regular expressions; one that is none matches nothing else. */
function textTest(values: readonly string[]): (text: string) => boolean {
  const matches = re2(values);
  return (text) => values.includes(text) || matches(text);
}

/** Containers of that image, or of one made from its layers. */
function ancestor(ctx: Context, values: readonly string[]): Test {
  const wanted = values.flatMap((value) => find(ctx, value));
  const ids = new Set(wanted.map((image) => image.id));
  const layers = wanted.map((image) => image.config.rootfs.diff_ids.join());
  return (row) => {
    if (row.imageId !== "" && ids.has(row.imageId)) return true;
    if (values.includes(row.config.Image)) return true;
    const own = row.imageId === "" ? undefined : ctx.images.find(row.imageId)?.config.rootfs.diff_ids.join();
    return own !== undefined && layers.some((chain) => chain !== "" && `${own},`.startsWith(`${chain},`));
  };
}

function find(ctx: Context, value: string): NonNullable<ReturnType<Context["images"]["find"]>>[] {
  try {
    const image = ctx.images.find(value);
    return image ? [image] : [];
  } catch (err) {
    if (isKind(err, "invalid")) return []; // not an image's name: nothing has it as an ancestor
    throw err;
  }
}

function relative(
  ctx: Context,
  { values, wanted }: { values: readonly string[]; wanted: (at: number, mark: number) => boolean },
): Test {
  const order = new Map([...ctx.table.all()].map((row, at) => [row.id, at]));
  const marks = values.map((value) => order.get(resolve(ctx.table, value).id) ?? 0);
  return (row) => marks.every((mark) => wanted(order.get(row.id) ?? 0, mark));
}

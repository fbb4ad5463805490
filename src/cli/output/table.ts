import { type CliIo, colours, print } from "../io.ts";
import { templateOf } from "./format.ts";

/** One column of a list: what `--format` calls it, its heading, and how wide it may stay when the terminal is narrow. */
export interface Column<Row> {
  readonly name: string;
  readonly heading: string;
  value(row: Row): string;
  /** Cells of this column are cut (with an ellipsis) when the table is wider than the terminal. */
  readonly shrinks?: boolean;
}

export interface ListOptions<Row> {
  readonly columns: readonly Column<Row>[];
  /** Columns of the default table, by name. */
  readonly shown: readonly string[];
  /** `--format`: "" or "table" for the default, "json", a template, or "table TEMPLATE". */
  readonly format: string;
  /** Never cut a cell (`--no-trunc`). */
  readonly full?: boolean;
  /** What templates may call on a row: `{{.Label "a"}}`. */
  readonly methods?: Readonly<Record<string, (row: Row, argument: string) => string>>;
}

/** Prints rows as docker's list commands do. Throws "invalid" for a bad template. */
export async function showList<Row>(io: CliIo, rows: readonly Row[], options: ListOptions<Row>): Promise<number> {
  const width = options.full ? undefined : io.stdout.columns;
  await print(io, renderList(rows, { ...options, width, bold: colours(io) }));
  return 0;
}

export interface RenderOptions<Row> extends ListOptions<Row> {
  /** Width of the terminal; undefined where there is none, so that nothing is cut. */
  readonly width?: number | undefined;
  /** Bold headings. */
  readonly bold?: boolean;
}

export function renderList<Row>(rows: readonly Row[], options: RenderOptions<Row>): string {
  const { format } = options;
  const methods = Object.entries(options.methods ?? {});
  const byName = (row: Row) => ({
    ...Object.fromEntries(options.columns.map((one) => [one.name, one.value(row)])),
    ...Object.fromEntries(methods.map(([name, method]) => [name, (argument: string) => method(row, argument)])),
  });
  if (format === "json") return lines(rows.map((row) => JSON.stringify(byName(row))));
  if (format === "" || format === "table") return defaultTable(rows, options);
  if (!format.startsWith("table ")) return lines(rows.map(byName).map(templateOf(format)));
  const template = templateOf(format.slice("table ".length));
  const cells = [headings(options), ...rows.map(byName)].map((row) => template(row).split("\t"));
  return layOut(cells, { ...options, shrinking: [] });
}

/** A row of headings, for a table whose columns the user chose; what a method is asked for is its own heading. */
function headings<Row>({ columns, methods = {} }: RenderOptions<Row>): Record<string, unknown> {
  return {
    ...Object.fromEntries(columns.map((one) => [one.name, one.heading])),
    ...Object.fromEntries(Object.keys(methods).map((name) => [name, (argument: string) => argument])),
  };
}

function defaultTable<Row>(rows: readonly Row[], options: RenderOptions<Row>): string {
  const columns = options.shown.flatMap((name) => options.columns.filter((one) => one.name === name));
  const cells = [columns.map((one) => one.heading), ...rows.map((row) => columns.map((one) => one.value(row)))];
  return layOut(cells, { ...options, shrinking: columns.flatMap((one, at) => (one.shrinks ? [at] : [])) });
}

interface Layout {
  readonly width?: number | undefined;
  readonly bold?: boolean;
  readonly shrinking: readonly number[];
}

const gap = 3;
/** Docker's tables have no narrower columns, so that scripts that cut by position find them where they were. */
const narrowest = 7;
/** What is left of a column that has to give way. */
const smallest = 10;

function layOut(cells: readonly (readonly string[])[], layout: Layout): string {
  const count = Math.max(...cells.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, at) =>
    Math.max(narrowest, ...cells.map((row) => displayWidth(row[at] ?? ""))),
  );
  if (layout.width !== undefined) shrink(widths, { ...layout, width: layout.width });
  const rendered = cells.map((row) => renderRow(row, widths));
  const [head = "", ...rest] = rendered;
  return lines([layout.bold ? `\x1b[1m${head}\x1b[0m` : head, ...rest]);
}

/** Takes the missing room from the widest of the columns that may shrink. */
function shrink(widths: number[], { width, shrinking }: { width: number; shrinking: readonly number[] }): void {
  let over = widths.reduce((sum, one) => sum + one + gap, -gap) - width;
  while (over > 0) {
    const widest = shrinking.toSorted((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))[0];
    const current = widest === undefined ? 0 : (widths[widest] ?? 0);
    if (widest === undefined || current <= smallest) return;
    const taken = Math.min(over, current - smallest);
    widths[widest] = current - taken;
    over -= taken;
  }
}

function renderRow(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, at) => {
    const width = widths[at] ?? 0;
    const cut = displayWidth(cell) > width ? `${cell.slice(0, width - 1)}…` : cell;
    return at === row.length - 1 ? cut : cut + " ".repeat(width - displayWidth(cut) + gap);
  });
  return cells.join("").trimEnd();
}

/** Characters on the screen: an ideograph takes two, a combining mark none. Plain ASCII, which nearly all is, needs no look-up. */
function displayWidth(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : Bun.stringWidth(text);
}

function lines(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join("");
}

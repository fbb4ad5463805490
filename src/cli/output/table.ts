import { compileTemplate } from "../template/evaluate.ts";

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
  /** Width of the terminal; undefined where there is none, so that nothing is cut. */
  readonly width?: number | undefined;
  /** Bold headings. */
  readonly bold?: boolean;
}

/** Renders rows as docker's list commands do. Throws "invalid" for a bad template. */
export function renderList<Row>(rows: readonly Row[], options: ListOptions<Row>): string {
  const { format } = options;
  const byName = (row: Row) => Object.fromEntries(options.columns.map((one) => [one.name, one.value(row)]));
  if (format === "json") return lines(rows.map((row) => JSON.stringify(byName(row))));
  if (format === "" || format === "table") return defaultTable(rows, options);
  if (!format.startsWith("table ")) {
    const template = compileTemplate(unescapeFormat(format));
    return lines(rows.map((row) => template(byName(row))));
  }
  const template = compileTemplate(unescapeFormat(format.slice("table ".length)));
  const headings = Object.fromEntries(options.columns.map((one) => [one.name, one.heading]));
  const cells = [headings, ...rows.map(byName)].map((row) => template(row).split("\t"));
  return layOut(cells, { ...options, shrinking: [] });
}

function defaultTable<Row>(rows: readonly Row[], options: ListOptions<Row>): string {
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
const smallest = 10;

function layOut(cells: readonly (readonly string[])[], layout: Layout): string {
  const count = Math.max(...cells.map((row) => row.length));
  const widths = Array.from({ length: count }, (_, at) => Math.max(...cells.map((row) => displayWidth(row[at] ?? ""))));
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

function displayWidth(text: string): number {
  return Bun.stringWidth(text);
}

function lines(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join("");
}

/** Shells do not turn `\t` and `\n` into what they mean; docker does. */
export function unescapeFormat(format: string): string {
  return format.replace(/\\t/g, "\t").replace(/\\n/g, "\n");
}

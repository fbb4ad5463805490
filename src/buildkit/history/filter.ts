import { EngineError } from "../../errors/mod.ts";
import { Code } from "../../grpc/mod.ts";
import { re2 } from "../../patterns/mod.ts";
import type { control } from "../../proto/mod.ts";
import { parseDuration, parseInstant } from "../../wire/mod.ts";

export type RecordFilter = (record: control.BuildHistoryRecord) => boolean;

/** Of filters, of characters in one, of regular expressions in all, and of characters that these look at: they are long matched. */
const most = { filters: 64, length: 4096, expressions: 8, text: 512 } as const;

/**
 * BuildKit's filters of records (`solver/llbsolver/history/filter.go`): a record must match one of them, and of that every field,
 * which commas separate as in CSV. `ref`, `status` and `repository` are compared in containerd's way (`==`, `!=`, `~=` with a regular
 * expression; a name alone: there is one), `startedAt`, `completedAt` and `duration` by `<`, `<=`, `>`, `>=`. Throws "invalid".
 */
export function recordFilter(filters: readonly string[], now: bigint): RecordFilter {
  if (filters.length > most.filters || filters.some(({ length }) => length > most.length))
    throw new EngineError("invalid", "there are too many history filters, or one is too long");
  const fields = filters.map(fieldsOf);
  if (fields.flat().filter((field) => field.includes("~=")).length > most.expressions)
    throw new EngineError("invalid", "there are too many regular expressions in the history filters");
  const either = fields.map((all) => all.map((field) => timeFilter(field, now) ?? valueFilter(field)));
  return (record) => either.length === 0 || either.some((all) => all.every((matches) => matches(record)));
}

function fieldsOf(text: string): string[] {
  const found: string[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y;
  for (let more = true; more; ) {
    const [, quoted, plain = "", after] = field.exec(text) ?? [];
    if (after === undefined) throw invalid(text);
    found.push(quoted?.replaceAll('""', '"') ?? plain);
    more = after === ",";
  }
  return found;
}

function timeFilter(text: string, now: bigint): RecordFilter | undefined {
  const [, key, sign, value] = /^(startedAt|completedAt|duration)(>=|<=|>|<)(.*)$/s.exec(text) ?? [];
  if (key === undefined || sign === undefined || value === undefined) return undefined;
  const wanted = key === "duration" ? parseDuration(value) : parseInstant(value, now) / second;
  return (record) => isOrdered(sign, timeOf(record, key), wanted);
}

const second = 1_000_000_000n;

/** A duration in nanoseconds, the others in seconds; 0 for a build that goes on. */
function timeOf({ createdAt, completedAt }: control.BuildHistoryRecord, key: string): bigint {
  if (key === "startedAt") return createdAt?.seconds ?? 0n;
  if (key === "completedAt" || !completedAt) return completedAt?.seconds ?? 0n;
  return nanos(completedAt) - nanos(createdAt);
}

function nanos(time: control.Timestamp | undefined): bigint {
  return (time?.seconds ?? 0n) * second + BigInt(time?.nanos ?? 0);
}

function isOrdered(sign: string, value: bigint, wanted: bigint): boolean {
  if (sign === ">=") return value >= wanted;
  if (sign === "<=") return value <= wanted;
  return sign === ">" ? value > wanted : value < wanted;
}

function valueFilter(text: string): RecordFilter {
  if (text === "") return () => true;
  const [, field, operator, given = ""] = /^([A-Za-z_]\w*(?:\.\w+)*)(?:(==|!=|~=)(.*))?$/s.exec(text) ?? [];
  if (field === undefined) throw invalid(text);
  const fieldIn = (record: control.BuildHistoryRecord) => fieldOf(record, field);
  if (operator === undefined) return (record) => fieldIn(record) !== undefined;
  const wanted = unquoted(given);
  if (operator === "~=") {
    const matches = re2([wanted]);
    return (record) => matches(fieldIn(record)?.slice(0, most.text) ?? "");
  }
  return (record) => (fieldIn(record) === wanted) === (operator === "==");
}

/** Go's quotes as far as JSON has them, too. */
function unquoted(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    return String(JSON.parse(text));
  } catch {
    throw invalid(text);
  }
}

function fieldOf(record: control.BuildHistoryRecord, field: string): string | undefined {
  if (field === "ref") return record.ref;
  if (field === "status") return statusOf(record);
  return field === "repository" ? repositoryOf(record.frontendAttrs) : undefined;
}

function statusOf({ completedAt, error }: control.BuildHistoryRecord): string {
  if (!completedAt) return "running";
  if (!error) return "completed";
  return error.code === Code.Canceled ? "canceled" : "error";
}

/** The client's own repository, or the one that it builds. */
function repositoryOf(attributes: Readonly<Record<string, string>>): string | undefined {
  const { context } = attributes;
  const isRepository =
    context !== undefined && /^(?:git:\/\/|git@|ssh:\/\/|https?:\/\/[^#]+\.git(?:#|$))/.test(context);
  return attributes["vcs:source"] ?? (isRepository ? context.split("#")[0] : undefined);
}

function invalid(text: string): EngineError {
  return new EngineError("invalid", `failed to parse history filter ${JSON.stringify(text.slice(0, 100))}`);
}

import type { Row } from "../table.ts";
import { tagOf } from "./tag.ts";

/**
 * What `--details` puts before every line: the labels, variables and the tag that the container's log options name, as
 * `key=value` in a query's encoding, sorted and with commas between. Empty when they name none.
 */
export function attributesOf(row: Row): string {
  const { labels, "labels-regex": labelsRegex, env, "env-regex": envRegex, tag } = row.hostConfig.LogConfig.Config;
  const found = new Map([
    ...chosen(Object.entries(row.config.Labels ?? {}), { names: labels, pattern: labelsRegex }),
    ...chosen(row.config.Env.map(variable), { names: env, pattern: envRegex }),
  ]);
  if (tag) found.set("tag", tagOf(tag, row));
  const pairs = [...found].sort(([one], [other]) => (one < other ? -1 : 1));
  return pairs.map(([key, value]) => `${queryText(key)}=${queryText(value)}`).join(",");
}

interface Choice {
  readonly names: string | undefined;
  readonly pattern: string | undefined;
}

function chosen(
  all: readonly (readonly [string, string])[],
  { names, pattern }: Choice,
): (readonly [string, string])[] {
  const wanted = new Set(names?.split(","));
  const regex = pattern ? new RegExp(pattern) : undefined;
  return all.filter(([key]) => wanted.has(key) || regex?.test(key));
}

function variable(entry: string): readonly [string, string] {
  const at = entry.indexOf("=");
  return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
}

/** Go's url.QueryEscape. */
function queryText(text: string): string {
  const strict = /[!'()*]/g;
  return encodeURIComponent(text.toWellFormed())
    .replace(strict, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

/**
 * `api METHOD PATH [BODY]`: one request to the engine that DOCKER_HOST names; writes the status, the type of the body, and
 * its shape: a line for each field, with the kinds of values seen there. Strings of errors are written as they are.
 */
const [method = "GET", path = "/", body] = process.argv.slice(2);
const unix = (process.env["DOCKER_HOST"] ?? "").replace("unix://", "");
const response = await fetch(`http://engine${path}`, {
  method,
  unix,
  ...(body !== undefined && { body, headers: { "Content-Type": "application/json" } }),
});
const text = await response.text();
const lines = [`status ${response.status}`, `type ${response.headers.get("content-type") ?? "none"}`];
process.stdout.write(`${[...lines, ...(await described())].join("\n")}\n`);

async function described(): Promise<string[]> {
  const json = parsed();
  if (json === undefined) return text === "" ? [] : [`text ${text.trim()}`];
  if (response.status >= 400) return [text.trim()];
  const kinds = new Map<string, Set<string>>();
  shape("$", json, kinds);
  return [...kinds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([at, seen]) => `${at}: ${[...seen].sort().join(" or ")}`);
}

function parsed(): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Fields of an object are a line each; elements of an array share theirs. */
function shape(at: string, value: unknown, kinds: Map<string, Set<string>>): void {
  const seen = kinds.get(at) ?? new Set();
  kinds.set(at, seen.add(kindOf(value)));
  if (Array.isArray(value)) for (const one of value) shape(`${at}[]`, one, kinds);
  else if (typeof value === "object" && value !== null) {
    for (const [key, one] of Object.entries(value)) shape(`${at}.${key}`, one, kinds);
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

export {};

/** What decided a step's result at one time: the parts of its key by name. */
export interface StepParts {
  /** Name of what it stood on; null for an empty root. */
  readonly parent: string | null;
  /** As in the key, so comparable as JSON. */
  readonly parts: Readonly<Record<string, unknown>>;
}

export interface FileChanges {
  readonly changed: readonly string[];
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export interface Comparison {
  readonly now: StepParts;
  /** The most alike of earlier times; undefined when the step never ran. */
  readonly before?: StepParts;
  readonly standsOn?: "image" | "step";
  /** What is different in the files that it copies, where that is known. */
  readonly files?: FileChanges;
}

/** Why a step was not found in the cache, one short phrase each. */
export function reasons({ now, before, files, standsOn = "step" }: Comparison): string[] {
  if (!before) return ["it has not run before"];
  const known = files !== undefined && Object.values(files).some((names) => names.length > 0);
  const all = [...new Set([...Object.keys(before.parts), ...Object.keys(now.parts)])];
  const names = all.filter((name) => !(known && name === "content"));
  const parts = names.flatMap((name) => partReasons(name, [before.parts[name], now.parts[name]]));
  const found = [
    ...(before.parent === now.parent ? [] : [standsOn === "image" ? "its base image changed" : "a step before it ran"]),
    ...(files ? fileReasons(files) : []),
    ...parts,
  ];
  return found.length > 0 ? found : ["its result was removed from the cache"];
}

type Pair = readonly [before: unknown, now: unknown];

function partReasons(name: string, [before, now]: Pair): string[] {
  if (JSON.stringify(before) === JSON.stringify(now)) return [];
  if (name === "env" && isTexts(before) && isTexts(now)) return variableReasons(before, now);
  if (name === "args" && isTexts(before) && isTexts(now))
    return [`the command changed from ${quoted(before.join(" "))}`];
  if (name === "mounts" && Array.isArray(before) && Array.isArray(now)) return mountReasons(before, now);
  if (name === "content") return ["the content of what it reads changed"];
  return [`${name} changed from ${quoted(before)} to ${quoted(now)}`];
}

/** The first place where they differ is shown, with as much around as fits. */
function quoted(value: unknown): string {
  const text = value === undefined ? "nothing" : typeof value === "string" ? value : JSON.stringify(value);
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function variableReasons(before: readonly string[], now: readonly string[]): string[] {
  const [old, fresh] = [variables(before), variables(now)];
  const found = [...new Set([...old.keys(), ...fresh.keys()])].flatMap((name) => {
    const [was, is] = [old.get(name), fresh.get(name)];
    if (was === is) return [];
    if (was === undefined) return [`argument or variable ${name} is new`];
    if (is === undefined) return [`argument or variable ${name} is gone`];
    return [`argument or variable ${name} changed from ${quoted(was)} to ${quoted(is)}`];
  });
  return found.length > 0 ? found : ["the order of its variables changed"];
}

function variables(entries: readonly string[]): ReadonlyMap<string, string> {
  return new Map(entries.map((entry) => [entry.split("=", 1)[0] ?? "", entry.slice(entry.indexOf("=") + 1)]));
}

function mountReasons(before: readonly unknown[], now: readonly unknown[]): string[] {
  const found = now.flatMap((mount, index) => {
    if (JSON.stringify(mount) === JSON.stringify(before[index])) return [];
    const [type, target] = Array.isArray(mount) ? mount : [];
    return [`the mount at ${String(target)} (${String(type)}) changed`];
  });
  return found.length > 0 ? found : ["a mount is gone"];
}

const mostNames = 5;

function fileReasons({ changed, added, removed }: FileChanges): string[] {
  const told = (what: string, names: readonly string[]) => {
    if (names.length === 0) return [];
    const more = names.length > mostNames ? ` and ${names.length - mostNames} more` : "";
    return [`${what} ${names.slice(0, mostNames).join(", ")}${more}`];
  };
  return [...told("changed:", changed), ...told("new:", added), ...told("gone:", removed)];
}

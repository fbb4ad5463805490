import { messageOf } from "../../errors/mod.ts";
import type { ImageRunConfig, Platform } from "../../oci/mod.ts";
import { dockerfileError } from "../dockerfile/error.ts";
import { type ExpandOptions, shellWord } from "../dockerfile/expand.ts";
import type { Place } from "../dockerfile/instructions.ts";
import type { HistoryDraft, ResolvedImage } from "./graph.ts";
import type { Vertex } from "./vertex.ts";

export type MutableConfig = { -readonly [K in keyof ImageRunConfig]: ImageRunConfig[K] };

/** A stage while its instructions are applied one after another. */
export interface StageState {
  config: MutableConfig;
  /** Declared arguments in order; undefined has no value. */
  readonly args: Map<string, string | undefined>;
  vertex: Vertex | undefined;
  readonly base?: ResolvedImage;
  author: string | undefined;
  readonly platform: Platform;
  history: HistoryDraft[];
  /** A CMD of this stage survives a later ENTRYPOINT; one that was inherited does not. */
  cmdSet: boolean;
}

export const defaultShell: readonly string[] = ["/bin/sh", "-c"];

/** `NAME=value` entries as a map. */
export function envMap(env: readonly string[] | undefined): Map<string, string> {
  return new Map((env ?? []).map((entry) => [entry.split("=", 1)[0] ?? "", entry.slice(entry.indexOf("=") + 1)]));
}

/** Sets a variable where it stands already, or at the end. */
export function withEnv(env: readonly string[], name: string, value: string): string[] {
  const entry = `${name}=${value}`;
  const at = env.findIndex((existing) => existing.split("=", 1)[0] === name);
  return at < 0 ? [...env, entry] : env.with(at, entry);
}

/** What `$NAME` means at this point: arguments, and the image's variables, which win (Dockerfile reference, ARG). */
export function variables(stage: StageState): Map<string, string> {
  const known = new Map<string, string>();
  for (const [name, value] of stage.args) if (value !== undefined) known.set(name, value);
  for (const [name, value] of envMap(stage.config.Env)) known.set(name, value);
  return known;
}

export interface Expander {
  word(text: string): string;
  readonly options: ExpandOptions;
}

/** Expands words with the variables as they are in front of the instruction; errors carry its line. */
export function expander(place: Place, env: ReadonlyMap<string, string>): Expander {
  const options = { escape: place.escape, env };
  return { options, word: (text) => located(place, () => shellWord(text, options)) };
}

/** Runs `body`; what it throws becomes an error at this line. */
export function located<T>(place: Place, body: () => T): T {
  try {
    return body();
  } catch (err) {
    throw dockerfileError(place.line, messageOf(err));
  }
}

/** Arguments with a value that the image's variables do not hide: what RUN sees and the history shows. */
export function effectiveArgs(stage: StageState): string[] {
  const env = envMap(stage.config.Env);
  return [...stage.args].flatMap(([name, value]) => (value === undefined || env.has(name) ? [] : [`${name}=${value}`]));
}

export function shellOf(stage: StageState): readonly string[] {
  const shell = stage.config.Shell;
  return shell && shell.length > 0 ? shell : defaultShell;
}

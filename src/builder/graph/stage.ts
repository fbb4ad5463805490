import { messageOf } from "../../errors/mod.ts";
import type { ImageRunConfig, Platform } from "../../oci/mod.ts";
import { dockerfileError } from "../dockerfile/error.ts";
import { type ExpandOptions, shellWord } from "../dockerfile/expand.ts";
import type { Place } from "../dockerfile/instructions.ts";
import type { HistoryDraft, ResolvedImage } from "./graph.ts";
import type { Vertex } from "./vertex.ts";

export type MutableConfig = { -readonly [K in keyof ImageRunConfig]: ImageRunConfig[K] };

/** An argument that the stage declares; one without a value counts, too. */
export interface DeclaredArg {
  readonly name: string;
  readonly value?: string;
}

/** A stage while its instructions are applied one after another. */
export interface StageState {
  config: MutableConfig;
  /** What `$NAME` means at this point, and what RUN sees: of ENV and ARG the later one counts, as in BuildKit. */
  readonly env: Map<string, string>;
  /** In order; the same name may come again. */
  args: readonly DeclaredArg[];
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
    throw dockerfileError(place, messageOf(err));
  }
}

/** Declared arguments with the value that RUN sees, for the history (BuildKit `runCommandString`). */
export function shownArgs({ args, env }: StageState): string[] {
  const values = new Map<string, string>();
  for (const { name, value } of args) values.set(name, env.get(name) ?? value ?? "");
  return [...values].map(([name, value]) => `${name}=${value}`);
}

export function shellOf(stage: StageState): readonly string[] {
  const shell = stage.config.Shell;
  return shell && shell.length > 0 ? shell : defaultShell;
}

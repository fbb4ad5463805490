import { messageOf } from "../../errors/mod.ts";
import type { ImageRunConfig, Platform } from "../../oci/mod.ts";
import { spend } from "../dockerfile/budget.ts";
import { dockerfileError } from "../dockerfile/error.ts";
import { type ExpandOptions, shellWord } from "../dockerfile/expand.ts";
import type { Place } from "../dockerfile/instructions.ts";
import type { HistoryDraft, ResolvedImage } from "./graph.ts";
import type { Vertex } from "./vertex.ts";

export type MutableConfig = { -readonly [K in keyof ImageRunConfig]: ImageRunConfig[K] } & {
  OnBuild?: string[] | null;
};

/** An argument that the stage declares; one without a value counts, too. */
export interface DeclaredArg {
  readonly name: string;
  readonly value?: string;
}

/** What RUN sees of the variables: one for all that see the same, since there may be a thousand of each. */
interface Seen {
  /** As `NAME=value`. */
  readonly env: readonly string[];
  /** The declared arguments as the history has them in front of a command. */
  readonly args: string;
}

/** A stage while its instructions are applied one after another. */
export interface StageState {
  /** Without what has a field of its own here. */
  config: MutableConfig;
  /** Of the image, in order. */
  readonly imageEnv: Map<string, string>;
  readonly labels: Map<string, string>;
  readonly ports: Set<string>;
  readonly volumes: Set<string>;
  /** What `$NAME` means at this point, and what RUN sees: of ENV and ARG the later one counts, as in BuildKit. */
  readonly env: Map<string, string>;
  /** In order; the same name may come again. */
  readonly args: DeclaredArg[];
  /** Made when somebody asks; undefined once a variable has been set. */
  seen: Seen | undefined;
  vertex: Vertex | undefined;
  readonly base?: ResolvedImage;
  author: string | undefined;
  readonly platform: Platform;
  /** Of the stage itself. */
  readonly history: HistoryDraft[];
  /** The stage that it goes on from; it must not be changed any more. */
  readonly parent?: Pick<StageState, "history" | "parent">;
  /** A CMD of this stage survives a later ENTRYPOINT; one that was inherited does not. */
  cmdSet: boolean;
}

/** Variables and arguments of a stage, each; a process is started with less. */
const mostVariables = 1000;

/** A variable of the stage. Throws "invalid" when there are too many. */
export function setVariable(stage: StageState, place: Place, { name, value }: { name: string; value: string }): void {
  stage.env.set(name, value);
  stage.seen = undefined;
  if (stage.env.size <= mostVariables && stage.args.length <= mostVariables) return;
  throw dockerfileError(place, `a stage has at most ${mostVariables} variables and arguments`);
}

/** A stage that has what an image has. */
export function stateOf(
  config: ImageRunConfig,
  rest: Pick<StageState, "vertex" | "base" | "author" | "platform">,
): StageState {
  const { Env, Labels, ExposedPorts, Volumes, OnBuild, ...own } = config;
  const env = envMap(Env ?? []);
  return {
    ...rest,
    config: { ...own, ...(OnBuild !== undefined && { OnBuild: OnBuild && [...OnBuild] }) },
    imageEnv: env,
    labels: new Map(Object.entries(Labels ?? {})),
    ports: new Set(Object.keys(ExposedPorts ?? {})),
    volumes: new Set(Object.keys(Volumes ?? {})),
    env: new Map(env),
    args: [],
    seen: undefined,
    history: [],
    cmdSet: false,
  };
}

/** A stage that goes on where another one ended, arguments included. */
export function childOf(parent: StageState): StageState {
  const { config, imageEnv, labels, ports, volumes, env, args } = parent;
  spend(env.size + labels.size + ports.size + volumes.size + args.length);
  return {
    ...parent,
    config: { ...config },
    imageEnv: new Map(imageEnv),
    labels: new Map(labels),
    ports: new Set(ports),
    volumes: new Set(volumes),
    env: new Map(env),
    args: [...args],
    history: [],
    parent,
    cmdSet: false,
  };
}

/** All that has been done on top of the base image. */
export function historyOf(stage: Pick<StageState, "history" | "parent">): readonly HistoryDraft[] {
  const parts: (readonly HistoryDraft[])[] = [];
  for (let at: typeof stage | undefined = stage; at; at = at.parent) parts.push(at.history);
  return parts.reverse().flat();
}

/** The whole configuration. */
export function configOf({ config, imageEnv, labels, ports, volumes }: StageState): ImageRunConfig {
  const keys = (names: ReadonlySet<string>) => Object.fromEntries([...names].map((name) => [name, {}]));
  return {
    ...config,
    Env: entriesOf(imageEnv),
    ...(labels.size > 0 && { Labels: Object.fromEntries(labels) }),
    ...(ports.size > 0 && { ExposedPorts: keys(ports) }),
    ...(volumes.size > 0 && { Volumes: keys(volumes) }),
  };
}

/** As `NAME=value`. */
export function entriesOf(env: ReadonlyMap<string, string>): string[] {
  return [...env].map(([name, value]) => `${name}=${value}`);
}

export const defaultShell: readonly string[] = ["/bin/sh", "-c"];

/** `NAME=value` entries as a map; one without `=` is empty. */
export function envMap(env: readonly string[]): Map<string, string> {
  return new Map(
    env.map((entry) => {
      const at = entry.indexOf("=");
      return at < 0 ? [entry, ""] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
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

/** What RUN sees at this point. */
export function seenBy(stage: StageState): Seen {
  if (stage.seen) return stage.seen;
  spend(10 * (stage.env.size + stage.args.length));
  stage.seen = { env: entriesOf(stage.env), args: shownArgs(stage) };
  return stage.seen;
}

/** Declared arguments with the value that RUN sees, for the history (BuildKit `runCommandString`). */
function shownArgs({ args, env }: StageState): string {
  const values = new Map<string, string>();
  for (const { name, value } of args) values.set(name, env.get(name) ?? value ?? "");
  const shown = [...values].map(([name, value]) => `${name}=${value}`);
  return shown.length > 0 ? `|${shown.length} ${shown.join(" ")} ` : "";
}

export function shellOf(stage: StageState): readonly string[] {
  const shell = stage.config.Shell;
  return shell && shell.length > 0 ? shell : defaultShell;
}

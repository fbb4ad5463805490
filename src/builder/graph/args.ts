import { shellWord } from "../dockerfile/expand.ts";
import type { ArgInstruction } from "../dockerfile/instructions.ts";
import type { GraphOptions } from "./graph.ts";
import { note } from "./metadata.ts";
import { formatPlatform } from "./platform.ts";
import { expander, located, type StageState, setVariable } from "./stage.ts";

/** Arguments that need no ARG, in capitals or not (Dockerfile reference, "Predefined ARGs"). */
const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];
/** Arguments that speak to the builder (Dockerfile reference, "BuildKit built-in build args"); there is one frontend here, so none is chosen. */
const forBuilder = new Set(["BUILDKIT_SYNTAX", "BUILDKIT_DOCKERFILE_CHECK", "SOURCE_DATE_EPOCH"]);

/** TARGETPLATFORM and its kin: known in FROM, and in a stage that declares them. Given values win. */
export function platformArgs(options: Omit<GraphOptions, "images">): Map<string, string> {
  const of = (prefix: string, platform: GraphOptions["buildPlatform"]): [string, string][] => [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, ""],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ""],
  ];
  const { file, target, args } = options;
  const stage = target || file.stages.at(-1)?.from.name || "default";
  const own = [...of("BUILD", options.buildPlatform), ...of("TARGET", options.targetPlatform)];
  return new Map([...own, ["TARGETSTAGE", stage] as const].map(([name, value]) => [name, given(args, name) ?? value]));
}

/** What FROM lines may use: platform arguments, and the ARGs in front of the first FROM with the values given for them. */
export function globalArgs(options: Omit<GraphOptions, "images">): Map<string, string> {
  const known = platformArgs(options);
  for (const instruction of options.file.globals) {
    for (const { name, value } of instruction.args) {
      const env = { escape: instruction.escape, env: known };
      const fallback = () => (value === undefined ? undefined : located(instruction, () => shellWord(value, env)));
      const own = given(options.args, name) ?? fallback();
      if (own !== undefined) known.set(name, own);
    }
  }
  return known;
}

/** A value that the client named without having one is none. */
function given(args: GraphOptions["args"], name: string): string | undefined {
  return (Object.hasOwn(args, name) ? args[name] : undefined) ?? undefined;
}

export function applyArg(
  stage: StageState,
  instruction: ArgInstruction,
  context: { options: GraphOptions; globals: ReadonlyMap<string, string> },
): void {
  const shown = instruction.args.map(({ name, value: written }) => {
    const { word } = expander(instruction, stage.env);
    const fallback = () => (written === undefined ? context.globals.get(name) : word(written));
    const value = given(context.options.args, name) ?? fallback();
    stage.seen = undefined;
    stage.args.push({ name, ...(value !== undefined && { value }) });
    if (value !== undefined) setVariable(stage, instruction, { name, value });
    return value === undefined ? name : `${name}=${value}`;
  });
  note(stage, `ARG ${shown.join(" ")}`);
}

/** Proxies that were given: RUN has them in capitals and small letters, and nothing records them. */
export function hiddenProxies({ args }: GraphOptions): string[] {
  return proxies.flatMap((name) => {
    const value = given(args, name.toLowerCase()) ?? given(args, name);
    return value ? [`${name}=${value}`, `${name.toLowerCase()}=${value}`] : [];
  });
}

/** Given arguments that no ARG anywhere in the file declares. */
export function unusedArgs(options: GraphOptions): string[] {
  const { globals, stages } = options.file;
  const all = [...globals, ...stages.flatMap((stage) => stage.instructions)];
  const declared = new Set(all.flatMap((one) => (one.kind === "arg" ? one.args.map((arg) => arg.name) : [])));
  const platform = platformArgs(options);
  const isKnown = (name: string) =>
    declared.has(name) || proxies.includes(name.toUpperCase()) || platform.has(name) || forBuilder.has(name);
  return Object.keys(options.args)
    .filter((name) => !isKnown(name))
    .sort();
}

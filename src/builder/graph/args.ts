import { shellWord } from "../dockerfile/expand.ts";
import type { ArgInstruction } from "../dockerfile/instructions.ts";
import type { GraphOptions } from "./graph.ts";
import { note } from "./metadata.ts";
import { formatPlatform } from "./platform.ts";
import { expander, located, type StageState, variables } from "./stage.ts";

/** Arguments that need no ARG (Dockerfile reference, "Predefined ARGs"). */
const proxyNames = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** TARGETPLATFORM and its kin: known in FROM, and in a stage that declares them. */
export function platformArgs(options: GraphOptions): Map<string, string> {
  const of = (prefix: string, platform: GraphOptions["buildPlatform"]): [string, string][] => [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ""],
  ];
  return new Map([...of("BUILD", options.buildPlatform), ...of("TARGET", options.targetPlatform)]);
}

/** What FROM lines may use: platform arguments, and the ARGs in front of the first FROM with the values given for them. */
export function globalArgs(options: GraphOptions): Map<string, string> {
  const known = platformArgs(options);
  for (const instruction of options.file.globals) {
    for (const { name, value } of instruction.args) {
      const given = options.args[name];
      const env = { escape: instruction.escape, env: known };
      const own = given ?? (value === undefined ? undefined : located(instruction, () => shellWord(value, env)));
      if (own !== undefined) known.set(name, own);
    }
  }
  return known;
}

export function applyArg(
  stage: StageState,
  instruction: ArgInstruction,
  context: { options: GraphOptions; globals: ReadonlyMap<string, string> },
): void {
  for (const { name: written, value } of instruction.args) {
    const { word } = expander(instruction, variables(stage));
    const name = word(written);
    const fallback = value === undefined ? context.globals.get(name) : word(value);
    stage.args.set(name, context.options.args[name] ?? fallback);
  }
  const shown = instruction.args.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`));
  note(stage, `ARG ${shown.join(" ")}`);
}

/** Proxies that were given but not declared: RUN has them, nothing records them. */
export function hiddenProxies(stage: StageState, options: GraphOptions): string[] {
  return proxyNames.flatMap((name) => {
    const value = options.args[name];
    return value === null || value === undefined || stage.args.has(name) ? [] : [`${name}=${value}`];
  });
}

/** Given arguments that no ARG anywhere in the file declares. */
export function unusedArgs(options: GraphOptions): string[] {
  const { globals, stages } = options.file;
  const all = [...globals, ...stages.flatMap((stage) => stage.instructions)];
  const declared = new Set(all.flatMap((one) => (one.kind === "arg" ? one.args.map((arg) => arg.name) : [])));
  return Object.keys(options.args)
    .filter((name) => !declared.has(name) && !proxyNames.includes(name) && !platformArgs(options).has(name))
    .sort();
}

import { type ExpandOptions, expand } from "../dockerfile/expand.ts";
import type { Instruction } from "../dockerfile/instructions.ts";
import type { Steps } from "../dockerfile/slices.ts";

/** Words of an instruction whose variables are looked up, in BuildKit's order; EXPOSE reports none. */
function expandedWords(instruction: Instruction): (string | undefined)[] {
  switch (instruction.kind) {
    case "env":
    case "label":
      return instruction.pairs.flatMap(({ name, value }) => [name, value]);
    case "copy": {
      const { chown, chmod, checksum, sources, destination } = instruction;
      const paths = sources.flatMap((source) => (source.kind === "path" ? [source.path] : []));
      return [chown, chmod, checksum, ...paths, destination];
    }
    case "workdir":
    case "user":
    case "stopsignal":
      return [instruction.word];
    case "volume":
      return [...instruction.words];
    case "run":
      return instruction.mounts.flatMap((fields) => fields.map(({ value }) => value));
    default:
      return [];
  }
}

function documents(instruction: Instruction): string[] {
  if (instruction.kind !== "copy") return [];
  return instruction.sources.flatMap((source) =>
    source.kind === "heredoc" && source.heredoc.expand ? [source.heredoc.content] : [],
  );
}

/** Variables that an instruction uses and that are not there, again for each word; what does not expand at all is the build's to refuse. */
export function* undefinedNames(instruction: Instruction, env: ReadonlyMap<string, string>): Steps<string[]> {
  const plain = expandedWords(instruction).map((word) => ({ word, options: { escape: instruction.escape, env } }));
  const raw = documents(instruction).map((word) => ({ word, options: { escape: "\\", env, keepQuotes: true } }));
  const names: string[] = [];
  for (const { word, options } of [...plain, ...raw]) {
    if (word !== undefined) names.push(...unmatched(word, options));
    yield;
  }
  return names;
}

function unmatched(word: string, options: ExpandOptions): Iterable<string> {
  try {
    return expand(word, options).unmatched;
  } catch {
    return [];
  }
}

/** The word expanded, or as it is when it does not expand. */
export function expandedOr(word: string, options: { escape: string; env: ReadonlyMap<string, string> }): string {
  try {
    return expand(word, options).text;
  } catch {
    return word;
  }
}

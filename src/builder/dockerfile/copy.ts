import { listOrWords } from "./arguments.ts";
import { dockerfileError } from "./error.ts";
import { type FlagKind, type Flags, flag, flagSet, readFlags } from "./flags.ts";
import { type Heredoc, heredocStart } from "./heredoc.ts";
import { type CopyInstruction, type CopySource, placeOf } from "./instructions.ts";
import type { Node } from "./parse.ts";

const common = { chown: "string", chmod: "string", link: "boolean", exclude: "list" } as const;
const copyFlags: Readonly<Record<string, FlagKind>> = { ...common, from: "string", parents: "boolean" };
const addFlags: Readonly<Record<string, FlagKind>> = {
  ...common,
  checksum: "string",
  unpack: "boolean",
  "keep-git-dir": "boolean",
};

/** COPY and ADD. */
export function copyInstruction(node: Node): CopyInstruction {
  const keyword = node.keyword === "ADD" ? "ADD" : "COPY";
  const flags = readFlags(node, keyword === "ADD" ? addFlags : copyFlags);
  const words = listOrWords(flags.rest, node);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) throw tooFew(node);
  if (heredocStart(destination)) throw dockerfileError(node, `${keyword} cannot accept a heredoc as a destination`);
  return {
    kind: "copy",
    ...placeOf(node),
    keyword,
    sources: sourcesOf(node, words.slice(0, -1)),
    destination,
    ...texts(flags),
    link: flagSet(flags, "link"),
    parents: flagSet(flags, "parents"),
    exclude: flags.values.get("exclude") ?? [],
    ...(flags.values.has("unpack") && { unpack: flagSet(flags, "unpack") }),
    ...(flags.values.has("keep-git-dir") && { keepGitDir: flagSet(flags, "keep-git-dir") }),
  };
}

function texts(flags: Flags): Pick<CopyInstruction, "from" | "chown" | "chmod" | "checksum"> {
  const given = ["from", "chown", "chmod", "checksum"].map((name) => [name, flag(flags, name)] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** Here-documents find their text by name: of two with one name the last counts, one without any is empty (BuildKit `parseSourcesAndDest`). */
function sourcesOf(node: Node, words: readonly string[]): CopySource[] {
  const texts = new Map(node.heredocs.map((heredoc) => [heredoc.name, heredoc.content]));
  return words.map((word) => {
    const start = heredocStart(word);
    if (!start) return { kind: "path", path: word };
    const heredoc: Heredoc = { ...start, content: texts.get(start.name) ?? "" };
    return { kind: "heredoc", heredoc };
  });
}

function tooFew(node: Node): Error {
  const problem = "requires at least two arguments, but only one was provided. Destination could not be determined";
  return dockerfileError(node, `${node.keyword} ${problem}`);
}

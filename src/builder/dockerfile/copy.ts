import { jsonList, quotedWords } from "./arguments.ts";
import { dockerfileError } from "./error.ts";
import { type FlagKind, type Flags, flag, flagSet, readFlags } from "./flags.ts";
import { heredocStart } from "./heredoc.ts";
import type { CopyInstruction, CopySource } from "./instructions.ts";
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
  const words = jsonList(flags.rest, node.startLine) ?? quotedWords(flags.rest, node.escape);
  const destination = words.at(-1);
  if (destination === undefined || words.length < 2) throw tooFew(node, words.length);
  return {
    kind: "copy",
    original: node.original,
    line: node.startLine,
    escape: node.escape,
    keyword,
    sources: sourcesOf(node, words.slice(0, -1)),
    destination,
    ...texts(flags),
    link: flagSet(flags, "link"),
    parents: flagSet(flags, "parents"),
    exclude: flags.values.get("exclude") ?? [],
    ...(flags.values.has("unpack") && { unpack: flagSet(flags, "unpack") }),
  };
}

function texts(flags: Flags): Pick<CopyInstruction, "from" | "chown" | "chmod" | "checksum"> {
  const given = ["from", "chown", "chmod", "checksum"].map((name) => [name, flag(flags, name)] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function sourcesOf(node: Node, words: readonly string[]): CopySource[] {
  let used = 0;
  return words.map((word) => {
    const heredoc = heredocStart(word, node.escape) && node.heredocs[used];
    if (!heredoc) return { kind: "path", path: word };
    used++;
    return { kind: "heredoc", heredoc };
  });
}

function tooFew(node: Node, count: number): Error {
  const problem =
    count === 1
      ? `${node.keyword} requires at least two arguments, but only one was provided. Destination could not be determined`
      : `${node.keyword} requires at least two arguments`;
  return dockerfileError(node.startLine, problem);
}

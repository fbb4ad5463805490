import { messageOf } from "../../errors/mod.ts";
import { goldens } from "../testing/golden.ts";
import { parseDockerfile } from "./dockerfile.ts";
import { linesOf } from "./error.ts";
import type { Instruction } from "./instructions.ts";
import { type Node, parseLines } from "./parse.ts";
import { quoteLines } from "./quote.ts";

goldens("parse", (text) => {
  const { nodes, check } = parseLines(text);
  return [...(check === undefined ? [] : [`check ${check}`]), ...nodes.map(shownNode)].join("\n");
});

function shownNode({ line, endLine, keyword, rest, comments, heredocs, emptyContinuation }: Node): string {
  const documents = heredocs.map((one) => `\n  ${JSON.stringify(one)}`);
  const above = comments.length > 0 ? ` # ${JSON.stringify(comments)}` : "";
  const empty = emptyContinuation === undefined ? "" : ` (blank line inside, ends at ${emptyContinuation})`;
  return `${line}-${endLine} ${keyword} ${JSON.stringify(rest)}${empty}${above}${documents.join("")}`;
}

goldens("instructions", (text) => {
  const { globals, stages } = parseDockerfile(text);
  const all = [...globals, ...stages.flatMap(({ from, instructions }) => [from, ...instructions])];
  return all.map(shownInstruction).join("\n");
});

function shownInstruction(instruction: Instruction): string {
  const { line, spelled, kind } = instruction;
  const places = ["original", "line", "endLine", "escape", "spelled", "comments", "kind"];
  const rest = Object.entries(instruction).filter(([key]) => !places.includes(key));
  return `${line} ${spelled} (${kind}) ${JSON.stringify(Object.fromEntries(rest))}`;
}

goldens("errors", (text) => {
  try {
    parseDockerfile(text);
    return "no error";
  } catch (err) {
    const lines = linesOf(err);
    return `${messageOf(err)}\n${lines ? quoteLines({ name: "Dockerfile", text }, lines).trimEnd() : "nowhere"}`;
  }
});

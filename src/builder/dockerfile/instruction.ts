import { type Command, command, jsonList, listOrWords, pairs, quotedWords } from "./arguments.ts";
import { copyInstruction } from "./copy.ts";
import { dockerfileError } from "./error.ts";
import { flag, readFlags } from "./flags.ts";
import { healthcheckInstruction } from "./healthcheck.ts";
import type {
  ArgInstruction,
  FromInstruction,
  Instruction,
  OnbuildInstruction,
  Place,
  RunInstruction,
} from "./instructions.ts";
import { parseMount } from "./mount.ts";
import { type Node, parseNode } from "./parse.ts";
import { didYouMean } from "./suggest.ts";

const readers = {
  FROM: fromInstruction,
  ARG: argInstruction,
  RUN: runInstruction,
  COPY: copyInstruction,
  ADD: copyInstruction,
  ENV: (node) => ({ kind: "env", ...placeOf(node), pairs: pairs(node, plain(node)) }),
  LABEL: (node) => ({ kind: "label", ...placeOf(node), pairs: pairs(node, plain(node)) }),
  CMD: (node) => ({ kind: "cmd", ...placeOf(node), command: command(plain(node), node.startLine) }),
  ENTRYPOINT: (node) => ({ kind: "entrypoint", ...placeOf(node), command: command(plain(node), node.startLine) }),
  EXPOSE: (node) => ({ kind: "expose", ...placeOf(node), words: some(node, quotedWords(plain(node), node.escape)) }),
  VOLUME: volumeInstruction,
  WORKDIR: (node) => ({ kind: "workdir", ...placeOf(node), word: one(node) }),
  USER: (node) => ({ kind: "user", ...placeOf(node), word: one(node) }),
  STOPSIGNAL: (node) => ({ kind: "stopsignal", ...placeOf(node), word: one(node) }),
  MAINTAINER: (node) => ({ kind: "maintainer", ...placeOf(node), word: one(node) }),
  HEALTHCHECK: healthcheckInstruction,
  SHELL: shellInstruction,
  ONBUILD: onbuildInstruction,
} as const satisfies Readonly<Record<string, (node: Node) => Instruction>>;

/** The instruction that a node spells. Throws "invalid" with the line for an unknown keyword and for wrong arguments. */
export function toInstruction(node: Node): Instruction {
  const reader = Object.hasOwn(readers, node.keyword) ? readers[node.keyword as keyof typeof readers] : undefined;
  if (reader) return reader(node);
  const hint = didYouMean(node.keyword, Object.keys(readers));
  throw dockerfileError(node.startLine, `unknown instruction: ${node.keyword}${hint}`);
}

/** The instruction of an ONBUILD trigger, which stands at the line of the FROM that runs it. */
export function triggerInstruction(trigger: string, place: Place): Instruction {
  return toInstruction(parseNode(trigger, { startLine: place.line, escape: "\\" }));
}

export function placeOf(node: Node): Place {
  return { original: node.original, line: node.startLine, escape: node.escape };
}

function plain(node: Node): string {
  return readFlags(node, {}).rest;
}

function one(node: Node): string {
  const text = plain(node);
  if (text === "") throw dockerfileError(node.startLine, `${node.keyword} requires exactly one argument`);
  return text;
}

function some<T extends readonly string[]>(node: Node, words: T): T {
  if (words.length === 0) throw dockerfileError(node.startLine, `${node.keyword} requires at least one argument`);
  return words;
}

function fromInstruction(node: Node): FromInstruction {
  const flags = readFlags(node, { platform: "string" });
  const words = quotedWords(flags.rest, node.escape);
  const [image = "", as, name] = words;
  if ((words.length !== 1 && words.length !== 3) || (as !== undefined && as.toUpperCase() !== "AS")) {
    throw dockerfileError(node.startLine, "FROM requires either one or three arguments");
  }
  const platform = flag(flags, "platform");
  return {
    kind: "from",
    ...placeOf(node),
    image,
    ...(name !== undefined && { name: stageName(name, node) }),
    ...(platform !== undefined && { platform }),
  };
}

function stageName(text: string, node: Node): string {
  const name = text.toLowerCase();
  if (/^[a-z][a-z0-9-_.]*$/.test(name)) return name;
  const problem = `invalid name for build stage: ${JSON.stringify(text)}, name can't start with a number or contain symbols`;
  throw dockerfileError(node.startLine, problem);
}

function argInstruction(node: Node): ArgInstruction {
  const words = some(node, quotedWords(plain(node), node.escape));
  const args = words.map((word) => {
    const at = word.indexOf("=");
    if (at === 0 || word === "") throw dockerfileError(node.startLine, "ARG names can not be blank");
    return at < 0 ? { name: word } : { name: word.slice(0, at), value: word.slice(at + 1) };
  });
  return { kind: "arg", ...placeOf(node), args };
}

function runInstruction(node: Node): RunInstruction {
  const flags = readFlags(node, { mount: "list", network: "string", security: "string" });
  const parsed: Command = command(flags.rest, node.startLine);
  if (parsed.words.length === 0) throw dockerfileError(node.startLine, "RUN requires at least one argument");
  const security = flag(flags, "security") ?? "sandbox";
  if (security !== "sandbox") {
    throw dockerfileError(node.startLine, `security mode ${JSON.stringify(security)} is not supported`);
  }
  return {
    kind: "run",
    ...placeOf(node),
    command: parsed,
    heredocs: node.heredocs,
    mounts: (flags.values.get("mount") ?? []).map((text) => parseMount(text, node.startLine)),
    network: networkOf(flag(flags, "network") ?? "default", node),
  };
}

function networkOf(text: string, node: Node): RunInstruction["network"] {
  if (text === "default" || text === "none" || text === "host") return text;
  throw dockerfileError(node.startLine, `unsupported network mode ${JSON.stringify(text)}`);
}

function volumeInstruction(node: Node): Instruction {
  const words = some(node, listOrWords(plain(node), node.startLine));
  if (words.some((word) => word.trim() === "")) {
    throw dockerfileError(node.startLine, "VOLUME specified can not be an empty string");
  }
  return { kind: "volume", ...placeOf(node), words };
}

function shellInstruction(node: Node): Instruction {
  const text = plain(node);
  const words = jsonList(text, node.startLine);
  if (!words) throw dockerfileError(node.startLine, "SHELL requires the arguments to be in JSON form");
  return { kind: "shell", ...placeOf(node), words: some(node, words) };
}

function onbuildInstruction(node: Node): OnbuildInstruction {
  const trigger = node.rest;
  if (trigger === "") throw dockerfileError(node.startLine, "ONBUILD requires at least one argument");
  const inner = parseNode(trigger, { startLine: node.startLine, escape: node.escape });
  if (inner.keyword === "ONBUILD") {
    throw dockerfileError(node.startLine, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  }
  if (inner.keyword === "FROM" || inner.keyword === "MAINTAINER") {
    throw dockerfileError(node.startLine, `${inner.keyword} isn't allowed as an ONBUILD trigger`);
  }
  if (node.heredocs.length > 0) {
    throw dockerfileError(node.startLine, "ONBUILD with a here-document is not supported");
  }
  toInstruction(inner);
  return { kind: "onbuild", ...placeOf(node), trigger };
}

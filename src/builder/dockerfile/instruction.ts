import { blankWords, type Command, command, jsonList, listOrWords, pairs, quotedWords } from "./arguments.ts";
import { spend } from "./budget.ts";
import { copyInstruction } from "./copy.ts";
import { dockerfileError, type Lines } from "./error.ts";
import { flag, readFlags, split } from "./flags.ts";
import { healthcheckInstruction } from "./healthcheck.ts";
import {
  type ArgInstruction,
  type FromInstruction,
  type Instruction,
  type OnbuildInstruction,
  placeOf,
  type RunInstruction,
} from "./instructions.ts";
import { mountFields } from "./mount.ts";
import { type Node, subNode, triggerNode } from "./parse.ts";
import type { Steps } from "./slices.ts";
import { didYouMean } from "./suggest.ts";

const readers = {
  FROM: fromInstruction,
  ARG: argInstruction,
  RUN: runInstruction,
  COPY: copyInstruction,
  ADD: copyInstruction,
  ENV: (node) => ({ kind: "env", ...placeOf(node), ...pairs(node, plain(node)) }),
  LABEL: (node) => ({ kind: "label", ...placeOf(node), ...pairs(node, plain(node)) }),
  CMD: (node) => ({ kind: "cmd", ...placeOf(node), command: command(plain(node), node) }),
  ENTRYPOINT: (node) => ({ kind: "entrypoint", ...placeOf(node), command: command(plain(node), node) }),
  EXPOSE: (node) => ({ kind: "expose", ...placeOf(node), words: some(node, blankWords(plain(node))) }),
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
  const lower = node.spelled === node.spelled.toLowerCase();
  const keywords = Object.keys(readers);
  const hint = lower
    ? didYouMean(
        node.spelled,
        keywords.map((keyword) => keyword.toLowerCase()),
      )
    : didYouMean(node.keyword, keywords);
  throw dockerfileError(node, `unknown instruction: ${node.spelled}${hint}`);
}

/** The instructions of ONBUILD triggers, which stand at the line of the FROM that runs them; thousands of stages may run thousands. */
export function* triggersAt(triggers: readonly string[], place: Lines): Steps<Instruction[]> {
  const read: Instruction[] = [];
  for (const trigger of triggers) {
    spend(500 + trigger.length);
    read.push(toInstruction(triggerNode(trigger, place)));
    yield;
  }
  return read;
}

function plain(node: Node): string {
  return readFlags(node, {}).rest;
}

function one(node: Node): string {
  const text = plain(node);
  if (text === "") throw dockerfileError(node, `${node.keyword} requires exactly one argument`);
  return text;
}

function some<T extends readonly string[]>(node: Node, words: T): T {
  if (words.length === 0) throw dockerfileError(node, `${node.keyword} requires at least one argument`);
  return words;
}

function fromInstruction(node: Node): FromInstruction {
  const flags = readFlags(node, { platform: "string" });
  const words = blankWords(flags.rest);
  const [image = "", as, name] = words;
  if ((words.length !== 1 && words.length !== 3) || (as !== undefined && as.toUpperCase() !== "AS")) {
    throw dockerfileError(node, "FROM requires either one or three arguments");
  }
  const platform = flag(flags, "platform");
  return {
    kind: "from",
    ...placeOf(node),
    image,
    ...(as !== undefined && name !== undefined && { name: stageName(name, node), as: { keyword: as, name } }),
    ...(platform !== undefined && { platform }),
  };
}

function stageName(text: string, node: Node): string {
  const name = text.toLowerCase();
  if (/^[a-z][a-z0-9-_.]*$/.test(name)) return name;
  const problem = `invalid name for build stage: ${JSON.stringify(text)}, name can't start with a number or contain symbols`;
  throw dockerfileError(node, problem);
}

function argInstruction(node: Node): ArgInstruction {
  const words = some(node, quotedWords(plain(node), node.escape));
  const args = words.map((word) => {
    const at = word.indexOf("=");
    if (at === 0 || word === "") throw dockerfileError(node, "ARG names can not be blank");
    return at < 0 ? { name: word } : { name: word.slice(0, at), value: word.slice(at + 1) };
  });
  return { kind: "arg", ...placeOf(node), args };
}

function runInstruction(node: Node): RunInstruction {
  const flags = readFlags(node, { mount: "list", network: "string", security: "string", device: "list" });
  const parsed: Command = command(flags.rest, node);
  if (parsed.words.length === 0) throw dockerfileError(node, "RUN requires at least one argument");
  requireSandbox(flag(flags, "security") ?? "sandbox", node);
  const [device] = flags.values.get("device") ?? [];
  if (device !== undefined)
    throw dockerfileError(node, `device ${device} is not allowed: RUN --device is not supported`);
  return {
    kind: "run",
    ...placeOf(node),
    command: parsed,
    heredocs: node.heredocs,
    mounts: (flags.values.get("mount") ?? []).map((text) => mountFields(text, node)),
    network: networkOf(flag(flags, "network") ?? "default", node),
  };
}

/** Nothing entitles a build to more (BuildKit's `--allow security.insecure`). */
function requireSandbox(text: string, node: Node): void {
  if (text === "insecure") throw dockerfileError(node, "security.insecure is not allowed");
  if (text !== "sandbox") throw dockerfileError(node, `security ${JSON.stringify(text)} is not valid`);
}

function networkOf(text: string, node: Node): RunInstruction["network"] {
  if (text === "default" || text === "none" || text === "host") return text;
  throw dockerfileError(node, `invalid network mode ${JSON.stringify(text)}`);
}

function volumeInstruction(node: Node): Instruction {
  const words = some(node, listOrWords(plain(node), node));
  if (words.some((word) => word.trim() === "")) {
    throw dockerfileError(node, "VOLUME specified can not be an empty string");
  }
  return { kind: "volume", ...placeOf(node), words };
}

function shellInstruction(node: Node): Instruction {
  const text = plain(node);
  const words = text === "" ? [] : jsonList(text, node);
  if (!words) throw dockerfileError(node, "SHELL requires the arguments to be in JSON form");
  return { kind: "shell", ...placeOf(node), words: some(node, words) };
}

/** The trigger takes its here-documents along. */
function onbuildInstruction(node: Node): OnbuildInstruction {
  readFlags(node, {});
  const inner = subNode(node);
  if (inner.original === "") throw dockerfileError(node, "ONBUILD requires at least one argument");
  if (inner.keyword === "ONBUILD") {
    throw dockerfileError(node, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  }
  if (inner.keyword === "FROM" || inner.keyword === "MAINTAINER") {
    throw dockerfileError(node, `${inner.keyword} isn't allowed as an ONBUILD trigger`);
  }
  checkTrigger(inner);
  const documents = node.heredocs.map(({ content, name }) => `\n${content}${name}`);
  return { kind: "onbuild", ...placeOf(node), trigger: inner.original + documents.join("") };
}

/** What BuildKit's parser would see without knowing what the instruction means: pairs that are none, and arrays of other things than strings. */
function checkTrigger(inner: Node): void {
  const { rest } = split(inner.rest);
  if (inner.keyword === "ENV" || inner.keyword === "LABEL") {
    if (rest !== "") pairs(inner, rest);
  } else if (["ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"].includes(inner.keyword)) {
    jsonList(rest, inner);
  }
}

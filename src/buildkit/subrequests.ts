import type { Description, Outline, Target } from "../builder/mod.ts";
import { EngineError } from "../errors/mod.ts";
import type { BuildCall } from "../wire/mod.ts";
import type { FrontendBuild } from "./frontend-attributes.ts";
import { type BuildKitEngine, definitionContext, type Locating } from "./solve.ts";

/**
 * Questions about a Dockerfile that a client asks instead of building it (BuildKit frontend/subrequests): `docker buildx build --check` and
 * `--call`. An answer is metadata of a result without files.
 */
const answers: Readonly<Record<string, Answer>> = {
  "frontend.outline": { about: "List all parameters current build target supports", of: (found) => outline(found) },
  "frontend.targets": { about: "List all targets current build supports", of: (found) => targets(found) },
  "frontend.lint": { about: "Lint a Dockerfile", of: lint },
  "frontend.subrequests.describe": { about: "List available subrequest types", of: describe },
};

interface Answer {
  readonly about: string;
  of(found: Description): Told;
}

interface Told {
  readonly json: unknown;
  readonly text: string;
  readonly status?: number;
}

/** Of all of them. */
const version = "1.0.0";

/** What BuildKit's frontend says to such a question, of all that is known of a Dockerfile. Throws "invalid" as {@link Description} does. */
export function answerCall(call: BuildCall, found: Description): Pick<Told, "json" | "text"> {
  return call === "outline" ? outline(found) : targets(found);
}

export type Subrequest = Omit<Locating, "options"> & FrontendBuild & { readonly requestid: string };

/** Throws "not-implemented" for other questions, "invalid" for a Dockerfile that leaves no answer. */
export async function subrequest(engine: BuildKitEngine, asked: Subrequest): Promise<Record<string, Uint8Array>> {
  const { requestid, options, contexts } = asked;
  const answer = Object.hasOwn(answers, requestid) ? answers[requestid] : undefined;
  if (!answer) throw new EngineError("not-implemented", `unsupported request ${requestid}`);
  const files = await definitionContext(engine, asked);
  // What is not an image is not fetched to be looked at: nothing is known of it, as of an image that is not here.
  const named = Object.entries(contexts).map(([name, context]) => [
    name,
    context.kind === "image" ? context.ref : "scratch",
  ]);
  const { args, target, platform } = options;
  const chosen = { args, ...(target !== undefined && { target }), ...(platform !== undefined && { platform }) };
  const found = await engine.builder.describe(files, { ...chosen, contexts: Object.fromEntries(named) });
  const { json, text, status } = answer.of(found);
  return {
    "result.json": Buffer.from(JSON.stringify(json, undefined, 2)),
    "result.txt": Buffer.from(text),
    ...(status !== undefined && { "result.statuscode": Buffer.from(String(status)) }),
    version: Buffer.from(version),
  };
}

/** solver/pb's Location, as Go writes it. */
function location({ line, endLine }: { readonly line: number; readonly endLine: number }) {
  return { ranges: [{ start: { line }, end: { line: endLine } }] };
}

function lint({ check, source }: Description): Told {
  const { Warnings: warnings, Error: error, Text: text } = check;
  const json = {
    warnings: warnings.map(({ Rule, Description, URL: url, Detail, StartLine: line, EndLine: endLine }) => ({
      ruleName: Rule,
      description: Description,
      ...(url !== undefined && { url }),
      detail: Detail,
      location: location({ line, endLine }),
    })),
    sources: [{ filename: source.name, language: "Dockerfile", data: base64(source.text) }],
    ...(error && { buildError: { message: error.Message, location: errorLocation(error) } }),
  };
  const status = warnings.length > 0 || error ? 1 : 0;
  return { json, text: text.replace(/^Check complete, .*\n/, ""), status };
}

function errorLocation({ StartLine: line, EndLine: endLine = line }: { StartLine?: number; EndLine?: number }) {
  return line === undefined ? {} : location({ line, endLine: endLine ?? line });
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function targets({ source, ...found }: Description): Told {
  const all = found.targets();
  const json = all.map(({ name, description, isDefault, base, platform, lines }) => ({
    ...(name !== undefined && { name }),
    ...(isDefault && { default: true }),
    ...(description !== undefined && { description }),
    base,
    ...(platform !== undefined && { platform }),
    location: location(lines),
  }));
  const rows = all.map((one) => [shown(one), one.description ?? ""]);
  return {
    json: { targets: json, sources: [base64(source.text)] },
    text: table([["TARGET", "DESCRIPTION"], ...rows]),
  };
}

function shown({ name, isDefault }: Pick<Target, "name" | "isDefault">): string {
  return [name ?? [], isDefault ? "(default)" : []].flat().join(" ");
}

function outline({ source, ...found }: Description): Told {
  const { name, description, args, secrets, ssh } = found.outline();
  const asked = (all: Outline["ssh"]) =>
    all.map(({ id, required, lines }) => ({ name: id, ...(required && { required }), location: location(lines) }));
  const json = {
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    ...(args.length > 0 && { args: args.map(({ lines, ...arg }) => ({ ...arg, location: location(lines) })) }),
    ...(secrets.length > 0 && { secrets: asked(secrets) }),
    ...(ssh.length > 0 && { ssh: asked(ssh) }),
    sources: [base64(source.text)],
  };
  const rows = (all: Outline["ssh"]) => all.map(({ id, required }) => [id, required ? "true" : ""]);
  const tables = [
    name === undefined
      ? []
      : [["TARGET:", name], ...(description === undefined ? [] : [["DESCRIPTION:", description]])],
    headed(
      ["BUILD ARG", "VALUE", "DESCRIPTION"],
      args.map((arg) => [arg.name, arg.value ?? "", arg.description ?? ""]),
    ),
    headed(["SECRET", "REQUIRED"], rows(secrets)),
    headed(["SSH", "REQUIRED"], rows(ssh)),
  ];
  return { json, text: tables.map((one) => (one.length > 0 ? `${table(one)}\n` : "")).join("") };
}

function headed(head: string[], rows: string[][]): string[][] {
  return rows.length === 0 ? [] : [head, ...rows];
}

function describe(): Told {
  const all = Object.entries(answers).map(([name, { about }]) => ({ name, version, description: about }));
  const named = (names: readonly string[]) => names.map((name) => ({ name, description: "" }));
  const json = all.map(({ name, ...one }) => ({
    ...{ name, ...one, type: "rpc", opts: name === "frontend.outline" ? named(["target"]) : [], inputs: [] },
    metadata: named(["result.json", "result.txt", ...(name === "frontend.lint" ? ["result.statuscode"] : [])]),
    refs: [],
  }));
  const rows = all.map(({ name, description }) => [name.replace(/^frontend\./, ""), version, description]);
  return { json, text: table([["NAME", "VERSION", "DESCRIPTION"], ...rows]) };
}

/** Columns of equal width, three spaces between them. */
function table(rows: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const widths = (rows[0] ?? []).map((_, column) => width(column) + 3);
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join("")
          .trimEnd()}\n`,
    )
    .join("");
}

import { EngineError } from "../../errors/mod.ts";
import { functions, show, truth } from "./functions.ts";
import { type Node, type Operand, type Pipe, parse } from "./parse.ts";

/** A template ready to be applied to any number of values. Throws "invalid" for one that cannot be parsed. */
export function compileTemplate(template: string): (data: unknown) => string {
  const nodes = parse(template);
  return (data) => renderAll(nodes, { dot: data, variables: new Map([["", data]]) });
}

interface Scope {
  readonly dot: unknown;
  readonly variables: Map<string, unknown>;
}

function renderAll(nodes: readonly Node[], scope: Scope): string {
  return nodes.map((node) => render(node, scope)).join("");
}

function render(node: Node, scope: Scope): string {
  switch (node.kind) {
    case "text":
      return node.text;
    case "print": {
      const value = evaluate(node.pipe, scope);
      return node.pipe.variables.length > 0 ? "" : show(value);
    }
    case "if":
      return renderAll(truth(evaluate(node.pipe, scope)) ? node.body : node.otherwise, inner(scope));
    case "with": {
      const dot = evaluate(node.pipe, scope);
      return truth(dot) ? renderAll(node.body, { ...inner(scope), dot }) : renderAll(node.otherwise, inner(scope));
    }
    case "range":
      return range(node, scope);
    default:
      return node satisfies never;
  }
}

function range(node: Extract<Node, { kind: "range" }>, scope: Scope): string {
  const entries = entriesOf(evaluate({ ...node.pipe, variables: [] }, scope));
  if (entries.length === 0) return renderAll(node.otherwise, inner(scope));
  const [first, second] = node.pipe.variables;
  return entries
    .map(([key, value]) => {
      const own = { ...inner(scope), dot: value };
      if (second !== undefined) own.variables.set(first ?? "", key).set(second, value);
      else if (first !== undefined) own.variables.set(first, value);
      return renderAll(node.body, own);
    })
    .join("");
}

/** Maps in the order of their keys, as Go ranges over them in templates. */
function entriesOf(value: unknown): [unknown, unknown][] {
  if (Array.isArray(value)) return value.map((one, at) => [at, one]);
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

function inner(scope: Scope): Scope {
  return { dot: scope.dot, variables: new Map(scope.variables) };
}

function evaluate(pipe: Pipe, scope: Scope): unknown {
  let value: unknown;
  pipe.commands.forEach((command, at) => {
    value = call(command, { scope, piped: at === 0 ? [] : [value] });
  });
  const [name] = pipe.variables;
  if (name !== undefined) scope.variables.set(name, value);
  return value;
}

function call(command: readonly Operand[], { scope, piped }: { scope: Scope; piped: readonly unknown[] }): unknown {
  const [head, ...rest] = command;
  if (head?.kind === "function") {
    const body = Object.hasOwn(functions, head.name) ? functions[head.name] : undefined;
    if (!body)
      throw new EngineError("invalid", `template parsing error: function ${JSON.stringify(head.name)} not defined`);
    return body([...rest.map((one) => operandValue(one, scope)), ...piped]);
  }
  if (!head) throw new EngineError("invalid", "template: missing value for command");
  const value = operandValue(head, scope);
  if (typeof value === "function") return value(...rest.map((one) => operandValue(one, scope)), ...piped);
  if (rest.length > 0 || piped.length > 0)
    throw new EngineError("invalid", "template: cannot give argument to non-function");
  return value;
}

function operandValue(operand: Operand, scope: Scope): unknown {
  switch (operand.kind) {
    case "literal":
      return operand.value;
    case "field":
      return walk(scope.dot, operand.path);
    case "variable":
      if (!scope.variables.has(operand.name))
        throw new EngineError("invalid", `template parsing error: undefined variable "$${operand.name}"`);
      return walk(scope.variables.get(operand.name), operand.path);
    case "function":
      return call([operand], { scope, piped: [] });
    case "pipe":
      return walk(evaluate(operand.pipe, scope), operand.path);
    default:
      return operand satisfies never;
  }
}

/** Keys match whatever their case where the exact one is not there, since Go's structs and JSON differ in it. */
function walk(from: unknown, path: readonly string[]): unknown {
  let at = from;
  for (const name of path) {
    if (typeof at !== "object" || at === null) {
      throw new EngineError("invalid", `template: can't evaluate field ${name} of ${show(at)}`);
    }
    const keys = Object.keys(at);
    const key = keys.includes(name) ? name : keys.find((one) => one.toLowerCase() === name.toLowerCase());
    at = key === undefined ? undefined : (at as Record<string, unknown>)[key];
  }
  return at;
}

import { EngineError } from "../errors/mod.ts";
import type { Method, Route } from "./http.ts";

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

export type Router = (method: Method, path: string) => Match | undefined;

interface Leaf {
  readonly route: Route;
  readonly names: readonly string[];
}

/** One path segment deep; children are tried in the order literal, one segment, many segments. */
interface Node {
  readonly literals: Map<string, Node>;
  one?: Node;
  many?: Node;
  readonly leaves: Map<Method, Leaf>;
}

/**
 * A trie over path segments: matching costs the length of the path, not the number of routes. Paths are taken as they
 * came: `//` stays, `%2F` does not split. A HEAD request is answered by the GET route where there is no other.
 * Throws "conflict" when two routes are the same.
 */
export function createRouter(routes: readonly Route[]): Router {
  const root = newNode();
  for (const route of routes) insert(root, route);
  return (method, path) => {
    const segments = path.split("/").slice(1);
    const found = find(root, segments, { at: 0, method, values: [] });
    if (found || method !== "HEAD") return found;
    return find(root, segments, { at: 0, method: "GET", values: [] });
  };
}

function newNode(): Node {
  return { literals: new Map(), leaves: new Map() };
}

function insert(root: Node, route: Route): void {
  const names: string[] = [];
  let node = root;
  for (const segment of route.path.split("/").slice(1)) {
    const parameter = /^\{(\w+)(\*?)\}$/.exec(segment);
    if (parameter) names.push(parameter[1] ?? "");
    node = parameter ? childFor(node, parameter[2] === "*" ? "many" : "one") : literal(node, segment);
  }
  if (node.leaves.has(route.method)) throw new EngineError("conflict", `Two routes for ${route.method} ${route.path}`);
  node.leaves.set(route.method, { route, names });
}

function childFor(node: Node, kind: "one" | "many"): Node {
  node[kind] ??= newNode();
  return node[kind];
}

function literal(node: Node, segment: string): Node {
  const child = node.literals.get(segment) ?? newNode();
  node.literals.set(segment, child);
  return child;
}

interface Search {
  readonly at: number;
  readonly method: Method;
  readonly values: readonly string[];
}

function find(node: Node, segments: readonly string[], search: Search): Match | undefined {
  const { at, method, values } = search;
  const segment = segments[at];
  if (segment === undefined) return leafOf(node, method, values);
  const next = node.literals.get(segment);
  const byLiteral = next && find(next, segments, { ...search, at: at + 1 });
  if (byLiteral) return byLiteral;
  if (node.one && segment !== "") {
    const byOne = find(node.one, segments, { at: at + 1, method, values: [...values, segment] });
    if (byOne) return byOne;
  }
  return node.many && findMany(node.many, segments, search);
}

/** The longest value that lets the rest match, as a regular expression's `.+` would. */
function findMany(node: Node, segments: readonly string[], { at, method, values }: Search): Match | undefined {
  for (let end = segments.length; end > at; end--) {
    if (end < segments.length && !node.literals.has(segments[end] ?? "") && !node.one) continue;
    const value = segments.slice(at, end).join("/");
    if (value === "") continue;
    const found = find(node, segments, { at: end, method, values: [...values, value] });
    if (found) return found;
  }
  return undefined;
}

function leafOf(node: Node, method: Method, values: readonly string[]): Match | undefined {
  const leaf = node.leaves.get(method);
  if (!leaf) return undefined;
  const params = leaf.names.map((name, index) => [name, decode(values[index] ?? "")] as const);
  return { route: leaf.route, params: Object.fromEntries(params) };
}

function decode(value: string): string {
  try {
    return value.includes("%") ? decodeURIComponent(value) : value;
  } catch (err) {
    throw new EngineError("invalid", `Malformed percent-encoding in path: ${value.slice(0, 100)}`, { cause: err });
  }
}

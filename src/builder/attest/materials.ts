import { posix } from "node:path";
import { familiarName, hexOf, imagePurl, parseReference, type Reference } from "../../oci/mod.ts";
import type { Build } from "../context.ts";
import type { GitRef } from "../git/ref.ts";
import type { BuildGraph, ResolvedImage } from "../graph/graph.ts";
import type { ExecOp, Vertex } from "../graph/vertex.ts";
import type { Material } from "./provenance.ts";

/** Every vertex that the graph needs, each once. */
export function verticesOf({ steps, result }: Pick<BuildGraph, "steps" | "result">): ReadonlySet<Vertex> {
  const found = new Set<Vertex>();
  const todo = [...steps.map(({ vertex }) => vertex), result.vertex];
  for (let vertex = todo.pop(); todo.length > 0 || vertex; vertex = todo.pop()) {
    if (!vertex || found.has(vertex)) continue;
    found.add(vertex);
    todo.push(vertex.base, ...vertex.inputs);
  }
  return found;
}

/** The images that a build stands on, as they were named. `images`: by `imageKey`. */
export async function imageMaterials(
  { context }: Pick<Build, "context">,
  { vertices, images }: { vertices: ReadonlySet<Vertex>; images: ReadonlyMap<string, ResolvedImage> },
): Promise<Material[]> {
  const used = new Set([...vertices].flatMap(({ op }) => (op.kind === "image" ? [op.image] : [])));
  const found = new Map<string, Material>();
  for (const [key, { id, config }] of images) {
    if (!used.has(id)) continue;
    const { os, architecture, variant } = config;
    const platform = { os, architecture, ...(variant && { variant }) };
    const ref = referenceOf(key.slice(0, key.lastIndexOf(" ")));
    const { digest: own } = context.images.manifest(context.images.get(id));
    const { RepoDigests } = await context.images.inspect(id);
    const pulled = ref ? RepoDigests.filter((one) => one.startsWith(`${familiarName(bare(ref))}@`)) : [];
    const digest = pulled.some((one) => one.endsWith(own)) ? own : (pulled[0]?.split("@")[1] ?? own);
    const uri = ref ? imagePurl(ref, platform) : id;
    found.set(uri, { uri, digest: { sha256: hexOf(digest as typeof own) } });
  }
  return [...found.values()];
}

function bare({ domain, path }: Reference): Reference {
  return { domain, path };
}

/** undefined for a name that is an image's id. */
function referenceOf(name: string): Reference | undefined {
  if (/^(?:sha256:)?[0-9a-f]{64}$/.test(name)) return undefined;
  return parseReference(name);
}

/** A repository at a commit. */
export function gitMaterial({ remote, ref, subdir }: GitRef, commit: string): Material {
  const fragment = [ref ?? "", ...(subdir === undefined ? [] : [subdir])].join(":");
  const uri = withoutCredentials(remote) + (fragment === "" ? "" : `#${fragment}`);
  return { uri, digest: { [commit.length === 64 ? "sha256" : "sha1"]: commit } };
}

/** Names and passwords in URLs of the web are secrets; the name in one of ssh is `git`. */
export function withoutCredentials(url: string): string {
  return url.replace(/^(https?:\/\/)[^/]*@/i, "$1");
}

export function secretsOf(vertices: ReadonlySet<Vertex>): { readonly id: string; readonly optional: boolean }[] {
  const found = new Map<string, { id: string; optional: boolean }>();
  for (const { mounts } of execs(vertices)) {
    for (const { type, id, target, required } of mounts) {
      const name = id || posix.basename(target);
      if (type === "secret") found.set(name, { id: name, optional: !required && (found.get(name)?.optional ?? true) });
    }
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Whether no step could ask anybody for anything. */
export function isOffline(vertices: ReadonlySet<Vertex>, networkMode: string): boolean {
  const modes = execs(vertices).map(({ network }) => (network === "default" ? networkMode : network));
  return modes.every((mode) => mode === "none");
}

function execs(vertices: ReadonlySet<Vertex>): ExecOp[] {
  return [...vertices].flatMap(({ op }) => (op.kind === "exec" ? [op] : []));
}

import { EngineError } from "../errors/mod.ts";
import { type Digest, isDigest } from "./digest.ts";

/** A parsed image name (github.com/distribution/reference, grammar in its `reference.go`), with Docker Hub's defaults filled in. */
export interface Reference {
  /** Registry host, such as `docker.io` or `localhost:5000`. */
  readonly domain: string;
  /** Repository on that registry, such as `library/nginx`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const hub = "docker.io";
const domainPattern =
  /^(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*(?::[0-9]+)?$|^\[[a-fA-F0-9:]+\](?::[0-9]+)?$/;
const pathPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[\w][\w.-]{0,127}$/;

/** Parses what a user wrote; leaves tag and digest away when there was none. Throws "invalid": `invalid reference format`. */
export function parseReference(text: string): Reference {
  const [beforeDigest, digest] = cut(text, "@");
  const colon = beforeDigest.lastIndexOf(":");
  const hasTag = colon > beforeDigest.lastIndexOf("/");
  const name = hasTag ? beforeDigest.slice(0, colon) : beforeDigest;
  const tag = hasTag ? beforeDigest.slice(colon + 1) : undefined;
  const { domain, path } = splitDomain(name);
  if (path !== path.toLowerCase()) throw invalid(`repository name (${path}) must be lowercase`);
  if (!domainPattern.test(domain) || !pathPattern.test(path) || path.length > 255) throw invalid();
  if (tag !== undefined && !tagPattern.test(tag)) throw invalid();
  if (digest !== undefined && !isDigest(digest)) throw invalid();
  if (/^[0-9a-f]{64}$/.test(text)) throw invalid(`cannot specify 64-byte hexadecimal strings`);
  return { domain, path, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** The reference with `latest` when it has neither tag nor digest. */
export function withDefaultTag(ref: Reference): Reference {
  return ref.tag || ref.digest ? ref : { ...ref, tag: "latest" };
}

/** As a user would write it: without `docker.io/` and `library/`. */
export function familiarName(ref: Reference): string {
  if (ref.domain !== hub) return `${ref.domain}/${ref.path}`;
  return /^library\/[^/]+$/.test(ref.path) ? ref.path.slice("library/".length) : ref.path;
}

/** {@link familiarName} with tag and digest. */
export function familiar(ref: Reference): string {
  return `${familiarName(ref)}${suffix(ref)}`;
}

/** In full, with registry: `docker.io/library/nginx:latest`. */
export function canonical(ref: Reference): string {
  return `${ref.domain}/${ref.path}${suffix(ref)}`;
}

function suffix(ref: Reference): string {
  return (ref.tag ? `:${ref.tag}` : "") + (ref.digest ? `@${ref.digest}` : "");
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = first === "localhost" || /[.:]/.test(first) || first !== first.toLowerCase();
  const domain = isDomain ? first : hub;
  const path = isDomain ? name.slice(slash + 1) : name;
  if (domain === "index.docker.io") return { domain: hub, path };
  return { domain, path: domain === hub && !path.includes("/") ? `library/${path}` : path };
}

function invalid(detail?: string): EngineError {
  return new EngineError("invalid", `invalid reference format${detail ? `: ${detail}` : ""}`);
}

function cut(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

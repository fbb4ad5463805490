import type { Query } from "../db/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { canonical, parseReference, type Reference, withDefaultTag } from "../oci/mod.ts";
import { type ImageRow, idsByPrefix, imageById, imageOfName } from "./table.ts";

/** What a user meant by a name, id, id prefix or digest. Names win over id prefixes, as in Docker. */
export function findRow(q: Query, refOrId: string): ImageRow | undefined {
  const hex = refOrId.replace(/^sha256:/, "");
  if (/^[0-9a-f]{64}$/.test(hex)) return imageById(q, `sha256:${hex}`);
  const named = byName(q, refOrId);
  if (named) return named;
  if (!/^[0-9a-f]{1,64}$/.test(hex)) return undefined;
  const [id, other] = idsByPrefix(q, hex);
  return id && !other ? imageById(q, id) : undefined;
}

/** Throws "not-found" in Docker's words. */
export function requireRow(q: Query, refOrId: string): ImageRow {
  const row = findRow(q, refOrId);
  if (!row) throw new EngineError("not-found", `No such image: ${shownName(refOrId)}`);
  return row;
}

/** True when the user wrote (a prefix of) the id itself and not a name. */
export function isIdPrefix(id: string, refOrId: string): boolean {
  return id.startsWith(refOrId) || id.startsWith(`sha256:${refOrId}`);
}

/** The parsed name, or undefined for what is no name. */
export function tryReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
}

/** Docker shows a name with its tag in "No such image". */
function shownName(refOrId: string): string {
  const ref = tryReference(refOrId);
  if (!ref || ref.tag || ref.digest || /^(sha256:)?[0-9a-f]{12,64}$/.test(refOrId)) return refOrId;
  return `${refOrId}:latest`;
}

function byName(q: Query, text: string): ImageRow | undefined {
  const parsed = tryReference(text);
  if (!parsed) return undefined;
  const { domain, path, digest } = parsed;
  const id = imageOfName(q, canonical(digest ? { domain, path, digest } : withDefaultTag(parsed)));
  return id && imageById(q, id);
}

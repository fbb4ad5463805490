import { createHash } from "node:crypto";
import { EngineError } from "../errors/mod.ts";

/** A content digest; SHA-256 is the one algorithm that Berth stores (OCI image-spec, descriptor.md). */
export type Digest = `sha256:${string}`;

const pattern = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: string): text is Digest {
  return pattern.test(text);
}

/** Throws "invalid" for anything that is not a lower-case sha256 digest. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new EngineError("invalid", `invalid digest ${JSON.stringify(text.slice(0, 100))}: sha256:HEX is supported`);
}

/** The digest of bytes that fit into memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The 64 hexadecimal digits, without the algorithm. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** Chain ids of a list of diff ids: the name of "these layers on top of each other" (OCI image-spec, config.md). */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push(parent ? digestOf(`${parent} ${diffId}`) : diffId);
  }
  return chain;
}

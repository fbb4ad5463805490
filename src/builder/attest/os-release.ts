import type { Release } from "./package.ts";

/** ID and VERSION_ID of an os-release(5), whose values are shell words; others than plain ones are none. */
export function parseRelease(text: string): Release {
  const value = (name: string): string | undefined =>
    new RegExp(`^${name}=(["']?)([a-zA-Z0-9._~+-]{1,100})\\1[ \\t\\r]*$`, "m").exec(text)?.[2];
  const [id, versionId] = [value("ID"), value("VERSION_ID")];
  return { ...(id !== undefined && { id }), ...(versionId !== undefined && { versionId }) };
}

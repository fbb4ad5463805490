import { isDigest } from "../oci/mod.ts";

const repositoryPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

/** `<name>` of the distribution-spec ("Pulling manifests"); at most 255 bytes. */
export function isRepository(name: string): boolean {
  return name.length <= 255 && repositoryPattern.test(name);
}

/** `<reference>` as a tag. */
export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** `<reference>`: a tag or a sha256 digest. */
export function isReference(text: string): boolean {
  return isDigest(text) || isTag(text);
}

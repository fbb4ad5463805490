import { EngineError } from "../../errors/mod.ts";
import { canonical, type Descriptor, type Digest } from "../../oci/mod.ts";
import type { RegistryClient } from "../../registry-client/mod.ts";
import { collect, fromBuffer } from "../../stream/mod.ts";

/** A registry whose contents a test may look at and break. */
export function memoryRegistry() {
  const blobs = new Map<Digest, Uint8Array>();
  const manifests = new Map<string, Descriptor>();
  const fetched: Digest[] = [];
  const client: RegistryClient = {
    resolve: async (ref) => {
      const found = manifests.get(canonical(ref));
      if (found) return found;
      throw new EngineError("not-found", `manifest for ${canonical(ref)} not found: manifest unknown`);
    },
    fetch: async (_, { digest }) => {
      fetched.push(digest);
      const bytes = blobs.get(digest);
      if (bytes) return fromBuffer(bytes);
      throw new EngineError("not-found", `blob ${digest} unknown`);
    },
    has: async (_, { digest }) => blobs.has(digest),
    pushBlob: async (_, { digest }, body) => {
      blobs.set(digest, await collect(body(), 1 << 30));
      return "uploaded";
    },
    pushManifest: async (ref, target, bytes) => {
      blobs.set(target.digest, bytes);
      manifests.set(canonical(ref), target);
    },
    pushReferrer: async (_, target, { bytes }) => {
      blobs.set(target.digest, bytes);
    },
    tags: async () => [],
  };
  return { client, blobs, manifests, fetched };
}

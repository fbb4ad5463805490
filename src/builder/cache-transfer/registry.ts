import type { Reference } from "../../oci/mod.ts";
import type { RegistryClient, RegistryOptions } from "../../registry-client/mod.ts";
import type { CacheReader, CacheWriter } from "./place.ts";

export interface RegistryPlace extends RegistryOptions {
  readonly registry: RegistryClient;
  readonly ref: Reference;
}

export function registryReader({ registry, ref, ...options }: RegistryPlace): CacheReader {
  return {
    root: () => registry.resolve(ref, options),
    read: (target) => registry.fetch(ref, target, options),
  };
}

export function registryWriter({ registry, ref, ...options }: RegistryPlace): CacheWriter {
  return {
    has: (target) => registry.has(ref, target, options),
    write: async (target, body) => void (await registry.pushBlob(ref, target, body, options)),
    publish: (target, bytes) => registry.pushManifest(ref, target, bytes, options),
  };
}

import { EngineError } from "../../errors/mod.ts";
import type { Descriptor, Digest } from "../../oci/mod.ts";
import { fromBuffer } from "../../stream/mod.ts";
import type { BuildSession, ClientStore } from "../session.ts";
import type { CacheReader, CacheWriter } from "./place.ts";

export interface ClientPlace {
  readonly session: BuildSession | undefined;
  /** As the client names its directory. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

export function clientReader(place: ClientPlace & { readonly manifest: Digest }): CacheReader {
  const { manifest: digest, signal } = place;
  return {
    root: async () => {
      const size = await storeOf(place).size(digest, signal);
      if (size !== undefined) return { mediaType: "", digest, size };
      throw new EngineError("not-found", `${place.directory} has no ${digest}`);
    },
    read: (target) => storeOf(place).read(target, signal),
  };
}

export interface ClientWriting extends ClientPlace {
  /** Told what the directory's index is to name. */
  readonly published: (manifest: Descriptor) => void;
}

export function clientWriter(place: ClientWriting): CacheWriter {
  const { signal, published } = place;
  const has = async ({ digest, size }: Descriptor) => (await storeOf(place).size(digest, signal)) === size;
  return {
    has,
    write: (target, body) => storeOf(place).write(target, body(), signal),
    publish: async (target, bytes) => {
      if (!(await has(target))) await storeOf(place).write(target, fromBuffer(bytes), signal);
      published(target);
    },
  };
}

function storeOf({ session, directory }: ClientPlace): ClientStore {
  const store = session?.store(`local:${directory}`);
  if (store) return store;
  throw new EngineError(
    "invalid",
    `the cache is in the client's ${directory}, but the client hands out no directories`,
  );
}

import { Flight, KeyedLock, Semaphore } from "../async/mod.ts";
import { EngineError } from "../errors/mod.ts";
import { canonical, familiarName, type Reference, withDefaultTag } from "../oci/mod.ts";
import type { RegistryClient } from "../registry-client/mod.ts";
import { Broadcast } from "./broadcast.ts";
import { compressLayer } from "./compress-layer.ts";
import type { Context } from "./context.ts";
import type { Image, Images, ImageTransfer, TransferOptions } from "./images.ts";
import { importImage } from "./import.ts";
import { loadImages } from "./load.ts";
import { contextOf } from "./open.ts";
import { pullImage } from "./pull.ts";
import { lookAt } from "./pull-manifest.ts";
import { pushImage, pushImages, pushIndex } from "./push.ts";
import { saveImages } from "./save.ts";

/** Docker's defaults for `max-concurrent-downloads` and `max-concurrent-uploads`. */
const downloadsAtOnce = 3;
const uploadsAtOnce = 5;

/** Moves the images of an {@link Images} that `openImages` returned. */
export function createTransfer(options: { readonly images: Images; readonly registry: RegistryClient }): ImageTransfer {
  const { registry } = options;
  const context = contextOf(options.images);
  const pulls = new SharedPulls(context, registry);
  const uploads = new Semaphore(uploadsAtOnce);
  const compressing = new KeyedLock();
  return {
    pull: (ref, pull) => pulls.pull(withDefaultTag(ref), pull),
    pullAll: async (repository, pull) => {
      const { domain, path } = repository;
      const images: Image[] = [];
      for (const tag of await registry.tags(repository, pull))
        images.push(await pulls.pull({ domain, path, tag }, pull));
      if (images.length > 0) return images;
      throw new EngineError("not-found", `${familiarName(repository)} has no tags`);
    },
    push: (ref, push) => pushImages({ context, registry, uploads, compressing }, ref, push),
    pushImage: (image, ref, push) =>
      pushImage({ context, registry, uploads, compressing }, { image, ref, options: push }),
    pushIndex: (images, ref, push) =>
      pushIndex({ context, registry, uploads, compressing }, images, { ref, options: push }),
    look: (ref, look) =>
      lookAt({ registry, ref: withDefaultTag(ref), options: { ...look, progress: () => undefined } }),
    load: (tar, load) => loadImages(context, tar, load),
    save: (refs, save) => saveImages({ context, compressing }, refs, save),
    import: (tar, imported) => importImage(context, tar, imported),
    compressed: (layer, signal) => compressLayer({ context, compressing }, layer, signal),
  };
}

/** Whoever asks for the same image while it is pulled waits for that pull and sees its progress. */
class SharedPulls {
  readonly #context: Context;
  readonly #registry: RegistryClient;
  readonly #flight = new Flight<Image>();
  readonly #progress = new Map<string, Broadcast>();
  readonly #downloads = new Semaphore(downloadsAtOnce);

  constructor(context: Context, registry: RegistryClient) {
    this.#context = context;
    this.#registry = registry;
  }

  async pull(ref: Reference, options: TransferOptions): Promise<Image> {
    const { platform, auth, signal } = options;
    const key = JSON.stringify([canonical(ref), platform ?? null, auth ?? null]);
    const broadcast = this.#progress.get(key) ?? new Broadcast();
    this.#progress.set(key, broadcast);
    using _ = broadcast.join(options.progress);
    const start = (shared: AbortSignal) => this.#start(ref, { ...options, signal: shared, progress: broadcast.send });
    return await this.#flight.share(key, (shared) => start(shared).finally(() => this.#forget(key, broadcast)), signal);
  }

  #forget(key: string, broadcast: Broadcast): void {
    if (this.#progress.get(key) === broadcast) this.#progress.delete(key);
  }

  #start(ref: Reference, options: TransferOptions): Promise<Image> {
    const parts = { context: this.#context, registry: this.#registry, downloads: this.#downloads };
    return pullImage(parts, ref, options);
  }
}

import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { removeTree, type Workers } from "../host/mod.ts";
import type { BuildContext } from "./builder.ts";
import type { Source } from "./dockerfile/quote.ts";
import type { PackedContext } from "./jobs/select.ts";
import { unpackContextJob } from "./jobs/unpack-context.ts";

/** Where sources are looked for: a directory, or one that would be there if the archive were unpacked. */
export interface FilesPlace {
  readonly root: string;
  readonly packed?: PackedContext;
}

/**
 * A build's context. It comes as an archive with an index, by which steps find and digest what they copy; the files are
 * written to the disk when the first step needs them there. Disposing deletes it all.
 */
export class ContextFiles implements AsyncDisposable {
  readonly #workers: Workers;
  readonly #context: BuildContext;
  #unpacked: Promise<void> | undefined;

  constructor(workers: Workers, context: BuildContext) {
    this.#workers = workers;
    this.#context = context;
  }

  /** For looking only. */
  get place(): FilesPlace {
    const { directory, packed } = this.#context;
    return { root: directory, ...(packed && { packed }) };
  }

  /** With the files in it. */
  async directory(): Promise<string> {
    const { directory, packed } = this.#context;
    if (packed) this.#unpacked ??= this.#workers.run(unpackContextJob, { ...packed, directory });
    await this.#unpacked;
    return directory;
  }

  async source(): Promise<Source> {
    const { dockerfile, dockerfileText } = this.#context;
    const text = dockerfileText ?? (await readFile(join(await this.directory(), dockerfile), "utf8"));
    return { name: dockerfile, text };
  }

  /** Patterns of .dockerignore. */
  get ignore(): readonly string[] {
    return this.#context.ignore ?? [];
  }

  get origin(): BuildContext["origin"] {
    return this.#context.origin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { directory, packed } = this.#context;
    await this.#unpacked?.catch(() => undefined);
    if (packed) await Promise.all([packed.archive, packed.index].map((path) => rm(path, { force: true })));
    if (!packed || this.#unpacked) await this.#workers.run(removeTree, { path: directory });
  }
}

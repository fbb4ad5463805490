import { basename } from "node:path/posix";
import { EngineError } from "../../errors/mod.ts";
import type { Job, JobContext } from "../../host/mod.ts";
import { parseChmod } from "../files/chmod.ts";
import { TreeCopier } from "../files/copy-tree.ts";
import * as fs from "../files/fs.ts";
import { type Destination, makeDirectory, type Owner, prepareParent } from "../files/place.ts";
import { raw, shown } from "../files/raw.ts";
import { inScope } from "../files/scope.ts";
import type { Selected } from "../files/select.ts";
import { unpack } from "../files/unpack.ts";

export interface CopyInput {
  readonly from: string;
  readonly selected: readonly CopyItem[];
  /** The root that is written into, and the absolute path inside it; ends with a slash when it must be a directory. */
  readonly to: string;
  readonly destination: string;
  /** undefined: owners are kept; directories on the way are root's. */
  readonly owner?: Owner;
  /** As --chmod has it. */
  readonly mode?: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
}

export interface CopyItem extends Selected {
  /** Unpack it if it is an archive; pipes and devices are none, and are not opened. */
  readonly unpack: boolean;
  /** Where it lies decompressed, when that took a program. */
  readonly plain?: string;
}

/** Writes the sources of a COPY or ADD into a mounted snapshot (Dockerfile reference, COPY: "If <src> is a directory …"). */
export const copyJob: Job<CopyInput, void> = {
  name: "builder.copy",
  async run(input, context) {
    const copy = new Copy(input, context);
    for (const item of input.selected) await copy.item(item);
  },
};

class Copy {
  readonly #input: CopyInput;
  readonly #context: JobContext;
  readonly #from: string;
  readonly #to: Destination;
  readonly #destination: string;
  readonly #copier: TreeCopier;

  constructor(input: CopyInput, context: JobContext) {
    this.#input = input;
    this.#context = context;
    this.#from = raw(input.from);
    const root = raw(input.to);
    const made = new Set<string>();
    this.#to = { root, owner: input.owner ?? { uid: 0, gid: 0 }, link: input.link, made };
    this.#destination = raw(input.destination);
    this.#copier = new TreeCopier({
      ...(input.owner && { owner: input.owner }),
      ...(input.mode !== undefined && { chmod: parseChmod(input.mode) }),
      exclude: input.exclude,
      root,
      context,
      ...(input.link && { made }),
    });
  }

  async item(item: CopyItem): Promise<void> {
    const source = item.real === "" ? this.#from : `${this.#from}/${item.real}`;
    if (item.type === "directory") {
      this.#copier.contents(source, this.#directory(this.#destination), item.include);
    } else if (!(item.unpack && item.type === "file" && (await this.#unpacked(item, source)))) {
      this.#copier.single(source, this.#target(item));
    }
  }

  #directory(path: string): string {
    if (this.#input.link) return makeDirectory(path, this.#to);
    const where = inScope(this.#to.root, path, { followLast: true }).slice(this.#to.root.length);
    const there = fs.lstat(`${this.#to.root}${where}`);
    if (there && !there.isDirectory()) {
      throw new EngineError("invalid", `cannot copy to non-directory: ${shown(where)}`);
    }
    return makeDirectory(path, this.#to);
  }

  #target(item: CopyItem): string {
    const name = basename(item.name);
    if (this.#destination.endsWith("/") || this.#isDirectory()) return `${this.#directory(this.#destination)}/${name}`;
    const target = prepareParent(this.#destination, this.#to);
    if (this.#input.link) return target;
    const real = inScope(this.#to.root, this.#destination, { followLast: true });
    return real === target ? target : prepareParent(real.slice(this.#to.root.length), this.#to);
  }

  #isDirectory(): boolean {
    if (this.#input.link) return this.#to.made?.has(`${this.#to.root}${this.#destination}`) === true;
    return fs.lstat(inScope(this.#to.root, this.#destination, { followLast: true }))?.isDirectory() === true;
  }

  /** True when it was an archive. Its own owners and modes hold, whatever --chown says. */
  #unpacked(item: CopyItem, source: string): Promise<boolean> {
    return unpack({
      archive: item.plain === undefined ? source : raw(item.plain),
      root: this.#to.root,
      base: () => this.#directory(this.#destination).slice(this.#to.root.length),
      owners: true,
      context: this.#context,
    });
  }
}

import type { Images } from "../../images/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import { cacheKey } from "../cache.ts";
import type { CopyOp, ExecMount, ExecOp, Vertex } from "../graph/vertex.ts";
import { readsContext } from "../ops/exec-mounts.ts";
import { imageKey } from "../ops/image.ts";
import type { Plans } from "../plans.ts";

export interface DefinitionKeysOptions {
  readonly images: Pick<Images, "get">;
  readonly plans: Plans;
}

/**
 * Keys of steps by what they, and all that they stand on or read from, are told to do: known before anything runs, where a
 * portable key has the contents of what is read. The two are one for a step that reads of no other stage, nor one below it.
 */
export class DefinitionKeys {
  readonly #options: DefinitionKeysOptions;
  readonly #known = new Map<Vertex, Promise<Digest | undefined>>();

  constructor(options: DefinitionKeysOptions) {
    this.#options = options;
  }

  /** undefined where that cannot be told beforehand. Throws what makes a step impossible. */
  of(vertex: Vertex): Promise<Digest | undefined> {
    const known = this.#known.get(vertex) ?? this.#make(vertex);
    this.#known.set(vertex, known);
    return known;
  }

  async #make(vertex: Vertex): Promise<Digest | undefined> {
    const { op, base, inputs } = vertex;
    const { images, plans } = this.#options;
    if (op.kind === "image") return imageKey(images.get(op.image));
    const below = base ? await this.of(base) : null;
    if (below === undefined) return undefined;
    if (inputs.length === 0) return cacheKey([(await plans.of(vertex, new Map())).key, below]);
    const read = await this.#all(inputs);
    const told = op.kind === "copy" ? copyTold(op) : op.kind === "exec" ? execTold(op) : undefined;
    return read && told !== undefined ? cacheKey(["definition", told, read, below]) : undefined;
  }

  async #all(vertices: readonly Vertex[]): Promise<readonly Digest[] | undefined> {
    const keys = await Promise.all(vertices.map((vertex) => this.of(vertex)));
    return keys.every((key) => key !== undefined) ? keys : undefined;
  }
}

/** What is read from is among the inputs; what it is called decides nothing. */
function copyTold({ from: _, ...told }: CopyOp): unknown {
  return told;
}

/** As {@link copyTold}: the inputs are those of the mounts that have one, in their order. */
function execTold(op: ExecOp): unknown {
  if (readsContext(op)) return undefined; // of the context's contents only the plan knows
  const { args, env, user, cwd, network, script, mounts } = op;
  return ["exec", { args, env, user, cwd, network, script }, mounts.map(mountTold)];
}

function mountTold({ input, from, ...told }: ExecMount): unknown {
  return [told, from !== undefined, input !== undefined];
}

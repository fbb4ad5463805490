import type { PackedLayer } from "../../layers/mod.ts";
import type { Digest } from "../../oci/mod.ts";
import type { Build, Solved } from "../context.ts";
import { layerOf } from "../export.ts";
import type { Vertex } from "../graph/vertex.ts";
import { type Chain, onTop } from "./format.ts";

/** The layer that a step left, on those of steps below it. */
export interface OwnLayer extends PackedLayer {
  /** On top of the base image. */
  readonly chain: Chain;
  readonly below?: OwnLayer;
  readonly snapshot: string;
  /** Milliseconds since 1970. */
  readonly created: number;
}

/** What a vertex left, as layers. */
export interface Standing {
  readonly snapshot?: string;
  /** With the layers of the base image. */
  readonly whole: Chain;
  /** The topmost layer of a step; undefined where nothing changed the base image. */
  readonly top?: OwnLayer;
}

export interface SolvesVertices {
  solve(vertex: Vertex): Promise<Solved>;
  /** False for what nothing needed. */
  has(vertex: Vertex): boolean;
  /** What caches know a step by. */
  keys(vertex: Vertex): Promise<readonly Digest[]>;
}

/** Names what vertices left by its layers, which other daemons have as well; packs them where that has not been done. */
export class LayerChains {
  readonly #build: Build;
  readonly #solver: Pick<SolvesVertices, "solve">;
  readonly #known = new Map<Vertex, Promise<Standing>>();

  constructor(build: Build, solver: Pick<SolvesVertices, "solve">) {
    const { epoch: _, ...undated } = build; // caches hold what steps left, not what an image is to say of its times
    this.#build = undated;
    this.#solver = solver;
  }

  async of(vertex: Vertex | undefined): Promise<Standing> {
    if (!vertex) return { whole: "" };
    const known = this.#known.get(vertex) ?? this.#standing(vertex);
    this.#known.set(vertex, known);
    return known;
  }

  async #standing(vertex: Vertex): Promise<Standing> {
    const { snapshot, created } = await this.#solver.solve(vertex);
    if (vertex.op.kind === "image") {
      const { diff_ids: ids } = this.#build.context.images.get(vertex.op.image).config.rootfs;
      return { ...(snapshot !== undefined && { snapshot }), whole: ids.reduce<Chain>(onTop, "") };
    }
    const below = await this.of(vertex.base);
    if (snapshot === undefined || snapshot === below.snapshot) return below;
    const layer = await layerOf(this.#build, snapshot);
    if (layer.empty) return { ...below, snapshot };
    const { top } = below;
    const chain = onTop(top?.chain ?? "", layer.diffId);
    return {
      snapshot,
      whole: onTop(below.whole, layer.diffId),
      top: { ...layer, chain, snapshot, created, ...(top && { below: top }) },
    };
  }
}

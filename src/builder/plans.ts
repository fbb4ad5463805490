import type { Build, Plan, Solved } from "./context.ts";
import type { Vertex } from "./graph/vertex.ts";
import { planCopy } from "./ops/copy.ts";
import { planExec } from "./ops/exec.ts";
import { planWorkdir } from "./ops/workdir.ts";

/** Plans of a build's vertices, each made once, when everything is there that it reads from. */
export class Plans {
  readonly #build: Build;
  readonly #inner: ReadonlySet<Vertex>;
  readonly #made = new Map<Vertex, Promise<Plan>>();

  /** `inner`: vertices that others stand on or read from. */
  constructor(build: Build, inner: ReadonlySet<Vertex>) {
    this.#build = build;
    this.#inner = inner;
  }

  /** Throws what makes the step impossible, such as a source that is not there. */
  of(vertex: Vertex, inputs: ReadonlyMap<Vertex, Solved>): Promise<Plan> {
    const known = this.#made.get(vertex);
    if (known) return known;
    const made = this.#make(vertex, inputs);
    made.catch(() => undefined); // seen by whoever waits for it
    this.#made.set(vertex, made);
    return made;
  }

  async #make(vertex: Vertex, inputs: ReadonlyMap<Vertex, Solved>): Promise<Plan> {
    const planned = { build: this.#build, vertex, inputs, isLast: !this.#inner.has(vertex) };
    const { op } = vertex;
    switch (op.kind) {
      case "exec":
        return planExec(planned, op);
      case "copy":
        return planCopy(planned, op);
      case "workdir":
        return planWorkdir(planned, op);
      case "image":
        throw new TypeError("an image vertex has no plan");
      default:
        return op satisfies never;
    }
  }
}

import { messageOf } from "../errors/mod.ts";
import { cacheKey } from "./cache.ts";
import type { Build, Plan, Planned, Solved } from "./context.ts";
import type { Vertex } from "./graph/vertex.ts";
import { planCopy } from "./ops/copy.ts";
import { planExec } from "./ops/exec.ts";
import { solveImage } from "./ops/image.ts";
import { planWorkdir } from "./ops/workdir.ts";

/**
 * Solves vertices: each once a build, as soon as what it stands on is there, so that vertices that do not need each other
 * run at the same time. The first that fails stops the others.
 */
export class Solver {
  readonly #build: Build;
  readonly #allowed: ReadonlySet<string> | undefined;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #solved = new Map<Vertex, Promise<Solved>>();
  /** Runs that this build started; others may wait for them, with this build's files. */
  readonly #runs = new Set<Promise<unknown>>();

  /** `allowed`: the snapshots that the cache may give, for --cache-from; undefined for all. */
  constructor(build: Build, allowed?: ReadonlySet<string>) {
    this.#build = build;
    this.#allowed = allowed;
    this.#signal = AbortSignal.any([build.signal, this.#stop.signal]);
  }

  solve(vertex: Vertex): Promise<Solved> {
    const known = this.#solved.get(vertex);
    if (known) return known;
    const solved = this.#start(vertex);
    solved.catch(() => undefined); // seen by whoever waits for it
    this.#solved.set(vertex, solved);
    return solved;
  }

  /** Resolves when nothing that this build started runs any more. */
  async settled(): Promise<void> {
    this.#stop.abort(new DOMException("The build has ended", "AbortError"));
    await Promise.allSettled([...this.#solved.values()]);
    await Promise.allSettled([...this.#runs]);
  }

  async #start(vertex: Vertex): Promise<Solved> {
    const inputs = Promise.all(vertex.inputs.map(async (input) => [input, await this.solve(input)] as const));
    const [base, others] = await Promise.all([vertex.base && this.solve(vertex.base), inputs]);
    try {
      this.#signal.throwIfAborted();
      return await this.#own(vertex, { base, inputs: new Map(others) });
    } catch (err) {
      if (!this.#stop.signal.aborted) this.#build.output.fail(vertex);
      this.#stop.abort(err);
      throw err;
    }
  }

  async #own(vertex: Vertex, { base, inputs }: Pick<Planned, "base" | "inputs">): Promise<Solved> {
    const build: Build = { ...this.#build, signal: this.#signal };
    if (vertex.op.kind === "image") return solveImage(build, { vertex, op: vertex.op });
    const plan = await planOf({ build, vertex, base, inputs });
    const solved = await this.#result(vertex, { plan, base });
    build.output.done(vertex, shortId(solved));
    return solved;
  }

  async #result(vertex: Vertex, { plan, base }: { plan: Plan; base: Solved | undefined }): Promise<Solved> {
    const { context, options, output } = this.#build;
    const key = cacheKey([plan.key, base?.snapshot ?? null]);
    const found = options.noCache ? undefined : this.#lookup(key);
    if (found) {
      output.write(vertex, " ---> Using cache\n");
      return found;
    }
    const run = async (signal: AbortSignal): Promise<Solved> => {
      const snapshot = await plan.run(signal);
      const created = Date.now();
      context.cache.record({
        key,
        kind: plan.kind,
        snapshot: snapshot ?? null,
        description: plan.description,
        created,
      });
      return { ...(snapshot !== undefined && { snapshot }), created, cached: false };
    };
    if (!plan.shared || options.noCache) return run(this.#signal);
    return context.flight.share(key, (signal) => this.#tracked(run(signal)), this.#signal);
  }

  #tracked<T>(run: Promise<T>): Promise<T> {
    this.#runs.add(run);
    run.catch((err) => this.#build.context.log.debug("build step failed", { error: messageOf(err) }));
    return run;
  }

  #lookup(key: `sha256:${string}`): Solved | undefined {
    const row = this.#build.context.cache.lookup(key);
    if (!row) return undefined;
    if (this.#allowed && row.snapshot !== null && !this.#allowed.has(row.snapshot)) return undefined;
    return { ...(row.snapshot !== null && { snapshot: row.snapshot }), created: row.created, cached: true };
  }
}

function planOf(planned: Planned): Promise<Plan> | Plan {
  const { op } = planned.vertex;
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

/** Twelve digits that stand for a result in the output. */
function shortId(solved: Solved): string {
  return cacheKey(solved.snapshot ?? "scratch").slice("sha256:".length, "sha256:".length + 12);
}

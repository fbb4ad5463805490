import { messageOf } from "../errors/mod.ts";
import type { Digest } from "../oci/mod.ts";
import { cacheKey } from "./cache.ts";
import { LayerChains } from "./cache-transfer/chains.ts";
import { CacheImports } from "./cache-transfer/imports.ts";
import type { Build, Plan, Planned, Solved } from "./context.ts";
import type { RememberedStep } from "./explain/memory.ts";
import type { Vertex } from "./graph/vertex.ts";
import { planCopy } from "./ops/copy.ts";
import { planExec } from "./ops/exec.ts";
import { solveImage } from "./ops/image.ts";
import { planWorkdir } from "./ops/workdir.ts";

interface Planning {
  readonly plan: Plan;
  readonly base: Solved | undefined;
  readonly portable: Digest;
}

export interface SolverOptions {
  /** The snapshots that the cache may give, for --cache-from; undefined for all. */
  readonly allowed?: ReadonlySet<string>;
  /** Vertices that others stand on or read from. */
  readonly inner: ReadonlySet<Vertex>;
  /** Instructions as they stand in the Dockerfile. */
  readonly texts: ReadonlyMap<Vertex, string>;
}

/**
 * Solves vertices: each once a build, as soon as what it stands on is there, so that vertices that do not need each other
 * run at the same time. The first that fails stops the others.
 */
export class Solver {
  /** What vertices left, as layers. */
  readonly chains: LayerChains;
  readonly #build: Build;
  readonly #allowed: ReadonlySet<string> | undefined;
  readonly #inner: ReadonlySet<Vertex>;
  readonly #imports: CacheImports;
  readonly #texts: ReadonlyMap<Vertex, string>;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #solved = new Map<Vertex, Promise<Solved>>();
  /** Results that must not be pruned meanwhile. */
  readonly #used = new Set<string>();
  /** Runs that this build started; others may wait for them, with this build's files. */
  readonly #runs = new Set<Promise<unknown>>();

  constructor(build: Build, { allowed, inner, texts }: SolverOptions) {
    this.#build = build;
    this.#allowed = allowed;
    this.#inner = inner;
    this.chains = new LayerChains(build, this);
    this.#texts = texts;
    build.context.inUse.add(this.#used);
    this.#signal = AbortSignal.any([build.signal, this.#stop.signal]);
    this.#imports = new CacheImports({ ...build, signal: this.#signal });
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
    await this.#imports.settled();
    this.#build.context.inUse.delete(this.#used);
  }

  async #start(vertex: Vertex): Promise<Solved> {
    const inputs = Promise.all(vertex.inputs.map(async (input) => [input, await this.solve(input)] as const));
    const [base, others] = await Promise.all([vertex.base && this.solve(vertex.base), inputs]);
    try {
      this.#signal.throwIfAborted();
      this.#build.output.started(vertex);
      return await this.#own(vertex, { base, inputs: new Map(others) });
    } catch (caught) {
      const err = this.#firstFailure(caught);
      if (!this.#stop.signal.aborted) this.#build.output.fail(vertex, messageOf(err));
      this.#stop.abort(err);
      throw err;
    }
  }

  /** What went wrong, without what then could not be cleaned up. */
  #firstFailure(err: unknown): unknown {
    if (!(err instanceof SuppressedError)) return err;
    this.#build.context.log.warn("cannot clean up after a build step", { error: messageOf(err.error) });
    return this.#firstFailure(err.suppressed);
  }

  async #own(vertex: Vertex, { base, inputs }: Pick<Planned, "base" | "inputs">): Promise<Solved> {
    const build: Build = { ...this.#build, signal: this.#signal };
    if (vertex.op.kind === "image") return solveImage(build, { vertex, op: vertex.op });
    const plan = await planOf({ build, vertex, base, inputs, isLast: !this.#inner.has(vertex) });
    const portable = cacheKey([plan.key, base?.portable ?? null]);
    const solved = { ...(await this.#result(vertex, { plan, base, portable })), portable };
    if (solved.snapshot !== undefined) this.#used.add(solved.snapshot);
    build.output.done(vertex, { id: shortId(solved), cached: solved.cached });
    return solved;
  }

  async #result(vertex: Vertex, { plan, base, portable }: Planning): Promise<Solved> {
    const { context, options, output } = this.#build;
    const key = cacheKey([plan.key, base?.snapshot ?? null]);
    const found = options.noCache
      ? undefined
      : (this.#lookup(key) ?? (await this.#imported(vertex, { key, plan, portable })));
    if (found) {
      output.note(vertex, " ---> Using cache\n");
      return found;
    }
    const standsOn = vertex.base?.op.kind === "image" ? "image" : "step";
    const step: RememberedStep = { text: this.#texts.get(vertex) ?? plan.description, plan, base, standsOn };
    if (options.explain) output.why(vertex, `Not cached: ${(await this.#why(step)).join("; ")}`);
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
      context.memory.record(step);
      return { ...(snapshot !== undefined && { snapshot }), created, cached: false };
    };
    if (!plan.shared || options.noCache) return run(this.#signal);
    return context.flight.share(key, (signal) => this.#tracked(run(signal)), this.#signal);
  }

  /** What --cache-from brings is from then on in this cache as well. */
  async #imported(
    vertex: Vertex,
    { key, plan, portable }: Omit<Planning, "base"> & { readonly key: Digest },
  ): Promise<Solved | undefined> {
    const base = () => this.chains.of(vertex.base);
    const found = await this.#imports.find({ vertex, key: portable, base });
    if (!found) return undefined;
    const { kind, description } = plan;
    const { snapshot = null, created } = found;
    this.#build.context.cache.record({ key, kind, description, snapshot, created });
    return { ...found, cached: true };
  }

  async #why(step: RememberedStep): Promise<string[]> {
    const { context, options } = this.#build;
    if (options.noCache) return ["the cache was not to be used"];
    const why = await context.memory.why(step);
    return this.#allowed ? [...why, "only what images of --cache-from have may be used"] : why;
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

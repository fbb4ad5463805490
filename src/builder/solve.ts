import { messageOf } from "../errors/mod.ts";
import type { Digest } from "../oci/mod.ts";
import { cacheKey } from "./cache.ts";
import { LayerChains } from "./cache-transfer/chains.ts";
import { DefinitionKeys } from "./cache-transfer/definitions.ts";
import { CacheImports } from "./cache-transfer/imports.ts";
import type { Build, Plan, Running, Solved } from "./context.ts";
import type { RememberedStep } from "./explain/memory.ts";
import type { Vertex } from "./graph/vertex.ts";
import { solveImage } from "./ops/image.ts";
import { Plans } from "./plans.ts";

interface Planning {
  readonly plan: Plan;
  readonly base: Solved | undefined;
  readonly portable: Digest | undefined;
}

interface Importing {
  /** Of this builder's cache. */
  readonly key: Digest;
  /** What caches may know the step by. */
  readonly keys: readonly Digest[];
  readonly step: Pick<Plan, "kind" | "description">;
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
  readonly #plans: Plans;
  readonly #definitions: DefinitionKeys;
  readonly #imports: CacheImports;
  readonly #texts: ReadonlyMap<Vertex, string>;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #solved = new Map<Vertex, Promise<Solved>>();
  /** Results that must not be pruned meanwhile. */
  readonly #used = new Set<string>();
  /** What failed first. */
  #failed: Vertex | undefined;
  /** Runs that this build started; others may wait for them, with this build's files. */
  readonly #runs = new Set<Promise<unknown>>();

  constructor(build: Build, { allowed, inner, texts }: SolverOptions) {
    this.#build = build;
    this.#allowed = allowed;
    this.chains = new LayerChains(build, this);
    this.#texts = texts;
    build.context.inUse.add(this.#used);
    this.#signal = AbortSignal.any([build.signal, this.#stop.signal]);
    const running = { ...build, signal: this.#signal };
    this.#plans = new Plans(running, inner);
    this.#definitions = new DefinitionKeys({ images: build.context.images, plans: this.#plans });
    this.#imports = new CacheImports(running);
  }

  /** Solves the steps; where caches of others may have results, what none of these needs is left out. */
  async all(steps: readonly (Vertex | undefined)[], result: Vertex | undefined): Promise<void> {
    if (!result || !this.#imports.any) {
      await Promise.all(steps.map((vertex) => vertex && this.solve(vertex)));
      return;
    }
    await this.solve(result);
    for (const vertex of steps) if (vertex && !this.has(vertex)) this.#cached(vertex, shortId({}));
  }

  /** The step that failed first, if any has. */
  get failed(): Vertex | undefined {
    return this.#failed;
  }

  has(vertex: Vertex): boolean {
    return this.#solved.has(vertex);
  }

  /** What caches know the step by, on any daemon. */
  async keys(vertex: Vertex): Promise<readonly Digest[]> {
    const keys = [(await this.solve(vertex)).portable, await this.#definitions.of(vertex)];
    return [...new Set(keys.filter((key) => key !== undefined))];
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
    const known = await this.#withoutInputs(vertex);
    if (known) return known;
    const inputs = Promise.all(vertex.inputs.map(async (input) => [input, await this.solve(input)] as const));
    const [base, others] = await Promise.all([vertex.base && this.solve(vertex.base), inputs]);
    try {
      this.#signal.throwIfAborted();
      this.#build.output.started(vertex);
      return await this.#own(vertex, { base, inputs: new Map(others) });
    } catch (caught) {
      const err = this.#firstFailure(caught);
      if (!this.#stop.signal.aborted) {
        this.#failed = vertex;
        this.#build.output.fail(vertex, messageOf(err));
      }
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

  /** The result from a cache that knows the step by its definition: what it reads from need not be made then. */
  async #withoutInputs(vertex: Vertex): Promise<Solved | undefined> {
    if (vertex.inputs.length === 0 || !this.#imports.any) return undefined;
    const definition = await this.#definitions.of(vertex).catch(() => undefined); // solving says what is wrong
    if (definition === undefined || !(await this.#imports.has(definition))) return undefined;
    const base = vertex.base && (await this.solve(vertex.base));
    const key = cacheKey(["definition", definition, base?.snapshot ?? null]);
    const step = {
      kind: vertex.op.kind === "copy" ? "copy" : "exec",
      description: this.#texts.get(vertex) ?? "",
    } as const;
    const found = this.#lookup(key) ?? (await this.#imported(vertex, { key, keys: [definition], step }));
    if (!found) return undefined;
    if (found.snapshot !== undefined) this.#used.add(found.snapshot);
    this.#cached(vertex, shortId(found));
    return found;
  }

  #cached(vertex: Vertex, id: string): void {
    if (vertex.op.kind !== "image") this.#build.output.note(vertex, " ---> Using cache\n");
    this.#build.output.done(vertex, { id, cached: true });
  }

  async #own(vertex: Vertex, { base, inputs }: Pick<Running, "base" | "inputs">): Promise<Solved> {
    const build: Build = { ...this.#build, signal: this.#signal };
    if (vertex.op.kind === "image") return solveImage(build, { vertex, op: vertex.op });
    const plan = await this.#plans.of(vertex, inputs);
    const isKnown = !base || base.portable !== undefined;
    const portable = isKnown ? cacheKey([plan.key, base?.portable ?? null]) : undefined;
    const result = await this.#result(vertex, { plan, base, portable });
    const solved = { ...result, ...(portable !== undefined && { portable }) };
    if (solved.snapshot !== undefined) this.#used.add(solved.snapshot);
    build.output.done(vertex, { id: shortId(solved), cached: solved.cached });
    return solved;
  }

  async #result(vertex: Vertex, { plan, base, portable }: Planning): Promise<Solved> {
    const { context, options, output } = this.#build;
    const key = cacheKey([plan.key, base?.snapshot ?? null]);
    const uncached = options.noCache || vertex.uncached;
    const found = uncached
      ? undefined
      : (this.#lookup(key) ??
        (await this.#imported(vertex, { key, keys: await this.#keysOf(vertex, portable), step: plan })));
    if (found) {
      output.note(vertex, " ---> Using cache\n");
      return found;
    }
    const standsOn = vertex.base?.op.kind === "image" ? "image" : "step";
    const step: RememberedStep = { text: this.#texts.get(vertex) ?? plan.description, plan, base, standsOn };
    if (options.explain) {
      const why = uncached ? ["the cache was not to be used"] : await this.#why(step);
      output.why(vertex, `Not cached: ${why.join("; ")}`);
    }
    const run = async (signal: AbortSignal): Promise<Solved> => {
      const snapshot = await plan.run(base, signal);
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
    if (!plan.shared || uncached) return run(this.#signal);
    return context.flight.share(key, (signal) => this.#tracked(run(signal)), this.#signal);
  }

  async #keysOf(vertex: Vertex, portable: Digest | undefined): Promise<readonly Digest[]> {
    const keys = this.#imports.any ? [portable, await this.#definitions.of(vertex)] : [];
    return keys.filter((key) => key !== undefined);
  }

  /** What --cache-from brings is from then on in this cache as well. */
  async #imported(vertex: Vertex, { key, keys, step }: Importing): Promise<Solved | undefined> {
    const base = () => this.chains.of(vertex.base);
    const found = await this.#imports.find({ vertex, keys, base });
    if (!found) return undefined;
    const { kind, description } = step;
    const { snapshot = null, created } = found;
    this.#build.context.cache.record({ key, kind, description, snapshot, created });
    return { ...found, cached: true };
  }

  async #why(step: RememberedStep): Promise<string[]> {
    const why = await this.#build.context.memory.why(step);
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

/** Twelve digits that stand for a result in the output. */
function shortId(solved: Pick<Solved, "snapshot">): string {
  return cacheKey(solved.snapshot ?? "scratch").slice("sha256:".length, "sha256:".length + 12);
}

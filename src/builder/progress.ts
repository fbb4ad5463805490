import type { ProgressSink } from "../wire/mod.ts";
import type { Lines } from "./dockerfile/error.ts";
import type { Step } from "./graph/graph.ts";
import type { Vertex } from "./graph/vertex.ts";
import { type BuildObserver, type BuildTask, observedSteps } from "./observer.ts";

export interface OutputOptions {
  readonly sink: ProgressSink;
  /** Shows lines of the Dockerfile, for a step that fails. */
  readonly quote: (lines: Lines) => string;
  readonly observer?: BuildObserver;
}

/** Characters that may wait for the turn of their steps, of which a build may have thousands. */
const mostPending = 64 * 1024 * 1024;
const clipped = "\n[output clipped: the step at the front takes too long]\n";

/**
 * Output of steps that run at the same time, in the order of the Dockerfile: the first step that is not done is told
 * live, what later ones say is kept until it is their turn.
 */
export class StepOutput {
  readonly #steps: readonly Step[];
  readonly #sink: ProgressSink;
  readonly #observer: BuildObserver | undefined;
  readonly #quote: (lines: Lines) => string;
  readonly #logs = new Map<number, Log>();
  #front = -1;
  #closed = false;
  /** Characters that wait for their turn. */
  #pending = 0;

  constructor(steps: readonly Step[], { sink, quote, observer }: OutputOptions) {
    this.#steps = steps;
    this.#sink = sink;
    this.#quote = quote;
    this.#observer = observer;
    observer?.steps(observedSteps(steps));
  }

  /** Everything that the vertex needs is there. */
  started(vertex: Vertex): void {
    this.#observer?.started(vertex.id);
  }

  /** Output of a vertex's process. */
  write(vertex: Vertex, text: string): void {
    this.#observer?.output(vertex.id, text);
    this.note(vertex, text);
  }

  /** Why a vertex is not in the cache. */
  why(vertex: Vertex, text: string): void {
    this.#observer?.output(vertex.id, `${text}\n`);
    this.note(vertex, ` ---> ${text}\n`);
  }

  /** What the builder says about a vertex, in the words of the classic builder. */
  note(vertex: Vertex, text: string): void {
    if (this.#closed) return;
    const log = this.#log(vertex);
    if (log.live) this.#say(text);
    else if (this.#pending < mostPending) this.#keep(log, text);
    else if (log.pending.at(-1) !== clipped) this.#keep(log, clipped);
  }

  /** Work that is no step's: an observer hears of all of it, others that it begins and how it fails. */
  task(name: string): BuildTask {
    const observed = this.#observer?.task(name);
    this.#say(`${name}\n`);
    return {
      status: (what) => observed?.status(what),
      end: (failure) => {
        observed?.end(failure);
        if (failure !== undefined) this.#say(`[Warning] ${name}: ${failure}\n`);
      },
    };
  }

  /** The vertex has its result, which `id` stands for. */
  done(vertex: Vertex, { id, cached }: { readonly id: string; readonly cached: boolean }): void {
    this.#observer?.ended(vertex.id, { kind: cached ? "cached" : "done" });
    this.#log(vertex).id = id;
    this.advance();
  }

  /** Says what is due; to be called once before anything runs. */
  advance(): void {
    while (!this.#closed) {
      const step = this.#steps[this.#front];
      const id = step?.vertex ? this.#log(step.vertex).id : "";
      if (id === undefined) return;
      if (step) this.#say(` ---> ${id}\n`);
      if (++this.#front >= this.#steps.length) return;
      this.#open(this.#front);
    }
  }

  /** A vertex failed: its step is told and where it stands, and nothing after it. */
  fail(vertex: Vertex, message: string): void {
    this.#observer?.ended(vertex.id, { kind: "failed", message });
    if (this.#closed) return;
    const index = this.#steps.findIndex((step) => step.runs && step.vertex === vertex);
    if (index > this.#front) this.#open(index);
    const { lines } = this.#steps[index] ?? {};
    if (lines) this.#say(this.#quote(lines));
    this.#closed = true;
  }

  #open(index: number): void {
    const step = this.#steps[index];
    if (!step) return;
    this.#say(`Step ${index + 1}/${this.#steps.length} : ${step.text}\n`);
    if (!step.vertex || !step.runs) return;
    const log = this.#log(step.vertex);
    for (const text of log.pending.splice(0)) {
      this.#pending -= text.length;
      this.#say(text);
    }
    log.live = true;
  }

  #keep(log: Log, text: string): void {
    this.#pending += text.length;
    log.pending.push(text);
  }

  #log(vertex: Vertex): Log {
    const log = this.#logs.get(vertex.id) ?? { pending: [], live: false, id: undefined };
    this.#logs.set(vertex.id, log);
    return log;
  }

  #say(text: string): void {
    this.#sink({ stream: text });
  }
}

interface Log {
  readonly pending: string[];
  live: boolean;
  id: string | undefined;
}

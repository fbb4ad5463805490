import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Bell } from "../async/mod.ts";
import type { BuildObserver, BuildTask, ObservedStep, StepEnd } from "../builder/mod.ts";
import { type Digest, digestOf } from "../oci/mod.ts";
import { control, timestampOf } from "../proto/mod.ts";
import type { CheckResult, ProgressMessage } from "../wire/mod.ts";

interface Vertex {
  readonly digest: Digest;
  readonly name: string;
  readonly inputs?: Digest[];
  readonly started?: control.Timestamp;
  readonly completed?: control.Timestamp;
  readonly cached?: boolean;
  readonly error?: string;
}

type Status = MessageInitShape<typeof control.VertexStatusSchema>;
type Response = MessageInitShape<typeof control.StatusResponseSchema>;

/** A step of the daemon's own, such as taking in the context. */
export interface OwnStep {
  /** A line below the step's name, which later ones of the same name replace. */
  status(name: string, progress?: { readonly current: number; readonly total?: number }): void;
  end(failure?: string): void;
}

/** Which of several graphs steps are told of, such as a platform's, and how many come after it. */
interface Part {
  readonly name: string;
  readonly left: number;
}

/**
 * What a build has to tell, as BuildKit's clients show it. Everything stays here until the build is forgotten, so that who
 * follows late or reads slowly misses nothing and holds up nobody; the builder clips what a step may say.
 */
export class StatusFeed implements BuildObserver {
  /** Where the result goes, in the name of the last step. */
  goal = "image";
  #part: Part = { name: "", left: 0 };
  readonly #ref: string;
  readonly #said: control.StatusResponse[] = [];
  readonly #vertices = new Map<string, Vertex>();
  readonly #steps = new Map<number, Digest>();
  #running = 0;
  #owned = 0;
  #closed = false;
  #failure: Digest | undefined;
  readonly #over = Promise.withResolvers<void>();
  readonly #changed = new Bell();
  #pulling: OwnStep | undefined;
  #exporting: OwnStep | undefined;

  constructor(ref: string) {
    this.#ref = ref;
  }

  /** Everything from the start, then as it comes, until the build is over. */
  async *follow(): AsyncGenerator<control.StatusResponse> {
    for (let at = 0; ; ) {
      while (at < this.#said.length) yield this.#said[at++] as control.StatusResponse;
      if (this.#closed) return;
      await this.#changed.rung;
    }
  }

  /** Resolves when the build is over. */
  get closed(): Promise<void> {
    return this.#over.promise;
  }

  /** The step that failed first, if any has. */
  get failure(): Digest | undefined {
    return this.#failure;
  }

  close(): void {
    this.#closed = true;
    this.#over.resolve();
    this.#changed.ring();
  }

  own(name: string): OwnStep {
    const digest = this.#digest(`own ${this.#owned++} ${name}`);
    const started = now();
    const vertex = { digest, name, started };
    this.#vertex(vertex);
    const lines = new Map<string, Status>();
    return {
      status: (id, { current = 0, total = 0 } = { current: 0 }) => {
        const counts = { current: BigInt(current), total: BigInt(total) };
        const line = { id, vertex: digest, name: id, ...counts, started, timestamp: now() };
        lines.set(id, line);
        this.#say({ statuses: [line] });
      },
      end: (error = "") => {
        const completed = now();
        this.#say({ statuses: [...lines.values()].map((line) => ({ ...line, timestamp: completed, completed })) });
        this.#vertex({ ...vertex, completed, error });
      },
    };
  }

  /** Is told of the steps of one of several graphs; the result comes after the last. */
  partly(part: Part): BuildObserver {
    return {
      steps: (steps) => {
        this.#part = part;
        this.steps(steps);
      },
      started: (id) => this.started(id),
      output: (id, text) => this.output(id, text),
      ended: (id, how) => this.ended(id, how),
      task: (name) => this.task(part.name === "" ? name : `[${part.name}] ${name}`),
    };
  }

  steps(steps: readonly ObservedStep[]): void {
    this.#pulling?.end();
    this.#pulling = undefined;
    const part = this.#part.name === "" ? "" : `${this.#part.name} `;
    const vertexes = steps.map(({ id, text, inputs }, at): Vertex => {
      const digest = this.#digest(`step ${part}${id}`);
      this.#steps.set(id, digest);
      const known = inputs.flatMap((input) => this.#steps.get(input) ?? []);
      return { digest, name: `[${part}${at + 1}/${steps.length}] ${text}`, inputs: known };
    });
    for (const vertex of vertexes) this.#vertices.set(vertex.digest, vertex);
    this.#running = steps.length;
    this.#say({ vertexes });
    if (steps.length === 0) this.#export();
  }

  started(id: number): void {
    const digest = this.#steps.get(id);
    const vertex = digest && this.#vertices.get(digest);
    if (vertex) this.#vertex({ ...vertex, started: now() });
  }

  output(id: number, text: string): void {
    const vertex = this.#steps.get(id);
    if (vertex) this.#say({ logs: [{ vertex, timestamp: now(), stream: 1n, msg: Buffer.from(text) }] });
  }

  ended(id: number, how: StepEnd): void {
    const digest = this.#steps.get(id);
    const vertex = digest && this.#vertices.get(digest);
    if (!vertex || vertex.completed) return;
    const error = how.kind === "failed" ? how.message : "";
    if (how.kind === "failed") this.#failure ??= digest;
    const started = vertex.started ?? now();
    this.#vertex({ ...vertex, started, completed: now(), cached: how.kind === "cached", error });
    if (--this.#running === 0 && how.kind !== "failed") this.#export();
  }

  task(name: string): BuildTask {
    const { status, end } = this.own(name);
    return { status: (what) => status(what), end };
  }

  /** The pull of a base image, which comes before the steps are known, in the words that `docker pull` has for it. */
  pulled({ id, status, progressDetail }: ProgressMessage): void {
    if (status === undefined) return;
    this.#pulling ??= this.own("[internal] load base images");
    const { current = 0, total = 0 } = progressDetail ?? {};
    this.#pulling.status(id === undefined ? status : `${id} ${status}`, { current, total });
  }

  /** The step that hands out a result: for the first it has begun already. */
  exporting(goal: string): OwnStep {
    const begun = this.#exporting ?? this.own(`exporting to ${goal}`);
    this.#exporting = undefined;
    return begun;
  }

  /** In BuildKit's words (`dockerfile2llb`, `LinterWarnFunc`), of the step that read the Dockerfile. */
  warned(warnings: CheckResult["Warnings"], { name: filename, text }: { name: string; text: string }): void {
    const read = [...this.#vertices.values()].find(({ name }) => name.startsWith("[internal] load"));
    if (!read) return;
    const info = { filename, data: Buffer.from(text), language: "Dockerfile" };
    const told = warnings.map(({ Rule, Detail, Description, URL: url = "", StartLine, EndLine }) => ({
      ...{ vertex: read.digest, level: 1n, url, info },
      short: Buffer.from(`${Rule}: ${Detail} (line ${StartLine})`),
      detail: [Buffer.from(Description)],
      ranges: [{ start: { line: StartLine }, end: { line: EndLine } }],
    }));
    this.#say({ warnings: told });
  }

  /** Ends what is still under way. */
  failed(message: string): void {
    this.#exporting?.end(message);
    for (const vertex of [...this.#vertices.values()]) {
      if (vertex.started && !vertex.completed) this.#vertex({ ...vertex, completed: now(), error: message });
    }
  }

  #export(): void {
    if (this.#part.left > 0) return;
    this.#exporting = this.own(`exporting to ${this.goal}`);
    this.#exporting.status("exporting layers");
  }

  #vertex(vertex: Vertex): void {
    this.#vertices.set(vertex.digest, vertex);
    this.#say({ vertexes: [vertex] });
  }

  #say(response: Response): void {
    if (this.#closed) return;
    this.#said.push(create(control.StatusResponseSchema, response));
    this.#changed.ring();
  }

  #digest(name: string): Digest {
    return digestOf(`${this.#ref} ${name}`);
  }
}

const now = () => timestampOf(Date.now());

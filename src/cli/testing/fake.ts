import { PassThrough } from "node:stream";
import type { Client, ClientRequest, HijackedStream } from "../../client/mod.ts";
import { EngineError } from "../../errors/mod.ts";
import { frame } from "../../stream/mod.ts";
import type { CliIo, Output } from "../io.ts";
import { cliMain } from "../main.ts";

/** What an engine answers, by `METHOD /path`: a value, or what a function makes of the request. An EngineError is thrown. */
export type Answers = Readonly<Record<string, unknown>>;

export interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
  /** What the engine was asked, as `METHOD /path?query`, in order. */
  readonly asked: readonly string[];
  /** The JSON bodies that came with it, in order. */
  readonly bodies: readonly unknown[];
  readonly raw: readonly boolean[];
}

export interface RunOptions {
  readonly answers?: Answers;
  readonly stdin?: string;
  /** Standard streams are a terminal of this many columns. */
  readonly terminal?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Called when the command line is under way, with ways to type and to send signals. */
  readonly during?: (user: User) => void;
}

export interface User {
  type(text: string): void;
  signal(name: NodeJS.Signals): void;
}

/** Runs one command line against an engine that answers as it is told. */
export async function cli(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { io, out, err, raw, user } = fakeIo(options);
  const client = new FakeClient(options.answers ?? {}, user);
  options.during?.(user);
  const status = await cliMain(argv, { io, connectTo: () => client });
  return { status, out: out(), err: err(), asked: client.asked, bodies: client.bodies, raw };
}

export function fakeIo({ stdin, terminal, env = {}, cwd = "/work" }: RunOptions) {
  const handlers = new Map<string, Set<() => void>>();
  const [stdout, stderr] = [new Recorded(terminal), new Recorded(terminal)];
  const raw: boolean[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY: terminal !== undefined,
  });
  if (terminal === undefined) input.end(stdin ?? "");
  const io: CliIo = {
    stdin: input,
    async rawInput() {
      raw.push(true);
      return { [Symbol.dispose]: () => void raw.push(false) };
    },
    stdout,
    stderr,
    env: { HOME: "/nonexistent", TZ: "UTC", ...env },
    cwd,
    onSignal: (signal, handle) => {
      const known = handlers.get(signal) ?? new Set();
      handlers.set(signal, known.add(handle));
      return () => known.delete(handle);
    },
    onExit: () => () => undefined,
  };
  const user: User = {
    type: (text) => void input.write(text),
    signal: (name) => {
      for (const handle of handlers.get(name) ?? []) handle();
    },
  };
  return { io, out: () => stdout.text, err: () => stderr.text, raw, user };
}

class Recorded implements Output {
  text = "";
  readonly columns: number | undefined;

  constructor(columns: number | undefined) {
    this.columns = columns;
  }

  get isTTY(): boolean {
    return this.columns !== undefined;
  }

  get rows(): number | undefined {
    return this.columns === undefined ? undefined : 24;
  }

  async print(text: string): Promise<void> {
    this.text += text;
  }

  async write(bytes: string | Uint8Array): Promise<void> {
    this.text += typeof bytes === "string" ? bytes : Buffer.from(bytes).toString();
  }
}

/** A process at the other end of an attach: gets its input, says its output, may look at the user. */
export type Process = (connection: {
  readonly input: () => string;
  readonly inputEnded: Promise<void>;
  readonly user: User;
  out(text: string): void;
  err(text: string): void;
  raw(text: string): void;
}) => Promise<void> | void;

class FakeClient implements Client {
  readonly host = "unix:///fake";
  readonly asked: string[] = [];
  readonly bodies: unknown[] = [];
  readonly #answers: Answers;
  readonly #user: User;

  constructor(answers: Answers, user: User) {
    this.#answers = answers;
    this.#user = user;
  }

  async json<T>(request: ClientRequest): Promise<T> {
    return structuredClone(await this.#answer(request)) as T;
  }

  async status(request: ClientRequest): Promise<number> {
    await this.#answer(request);
    return 204;
  }

  async stream(request: ClientRequest) {
    const answer = await this.#answer(request);
    if (isHanging(answer)) return { status: 200, headers: {}, bytes: hanging(request.signal) };
    const text = typeof answer === "string" || answer instanceof Uint8Array ? answer : JSON.stringify(answer);
    return { status: 200, headers: {}, bytes: once(Buffer.from(text as string)) };
  }

  async *lines<T>(request: ClientRequest): AsyncIterable<T> {
    const sent = request.bytes && !(request.bytes instanceof Uint8Array) ? await sizeOf(request.bytes) : undefined;
    if (sent !== undefined) this.bodies.push({ sent });
    yield* (await this.#answer(request)) as T[];
  }

  async hijack(request: ClientRequest): Promise<HijackedStream> {
    return attached((await this.#answer(request)) as Process, this.#user);
  }

  async #answer(request: ClientRequest): Promise<unknown> {
    const key = `${request.method} ${request.path.split("?")[0]}`;
    this.asked.push(`${request.method} ${request.path}${shown(request.query)}`);
    if (request.body !== undefined) this.bodies.push(request.body);
    const known = Object.hasOwn(this.#answers, key) ? this.#answers[key] : undefined;
    if (known === undefined && !Object.hasOwn(this.#answers, key)) throw missing(key);
    const answer = typeof known === "function" && !isProcess(request) ? await known(request) : known;
    if (answer instanceof EngineError) throw answer;
    return answer;
  }
}

/** Requests whose answer is a {@link Process} rather than something made of the request. */
function isProcess({ path }: ClientRequest): boolean {
  return path.endsWith("/attach") || /^\/exec\/.*\/start$/.test(path);
}

function missing(key: string): EngineError {
  return new EngineError("not-found", `Error response from daemon: nothing at ${key}`);
}

function shown(query: ClientRequest["query"] = {}): string {
  const parts = Object.entries(query).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => (one === undefined ? [] : [`${key}=${one}`])),
  );
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

function attached(process: Process, user: User): HijackedStream {
  const output = new PassThrough();
  const ended = Promise.withResolvers<void>();
  let input = "";
  const connection = {
    input: () => input,
    inputEnded: ended.promise,
    user,
    out: (text: string) => void output.write(frame("stdout", Buffer.from(text))),
    err: (text: string) => void output.write(frame("stderr", Buffer.from(text))),
    raw: (text: string) => void output.write(text),
  };
  Promise.resolve(process(connection)).then(() => output.end());
  return {
    contentType: "application/vnd.docker.multiplexed-stream",
    output,
    write: async (bytes) => {
      input += Buffer.from(bytes).toString();
      return true;
    },
    end: () => ended.resolve(),
    close: () => void output.destroy(),
  };
}

function isHanging(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "hangs" in answer;
}

/** A body that never comes, until the client goes away. */
async function* hanging(signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  yield* await new Promise<Uint8Array[]>((_, reject) => {
    if (signal?.aborted) reject(new EngineError("canceled", "canceled"));
    signal?.addEventListener("abort", () => reject(new EngineError("canceled", "canceled")));
  });
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

async function sizeOf(bytes: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of bytes) size += chunk.length;
  return size;
}

/** What the engine refuses with, in the form that the real client gives it. */
export function refusing(kind: EngineError["kind"], message: string): EngineError {
  return new EngineError(kind, `Error response from daemon: ${message}`);
}

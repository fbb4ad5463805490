import { EngineError } from "../errors/mod.ts";

/**
 * Command-line flags as docker's users know them (Go's pflag): `--name value`, `--name=value`, `-n value`, `-nvalue`,
 * grouped booleans `-it`, `--bool=false`, `--` ends them. A set is data, so that help, completion and documentation are made
 * from what is parsed.
 */
export interface Flag<T> {
  readonly kind: "bool" | "value" | "list";
  readonly help: string;
  /** One letter. */
  readonly short?: string;
  /** What the help shows for the value, such as `DIR`. */
  readonly placeholder: string;
  readonly initial: T;
  /** Turns one given text into the value; `before` is what earlier uses made. Throws "invalid" with a reason. */
  parse(text: string, before: T): T;
}

export type FlagSet = Readonly<Record<string, Flag<unknown>>>;
export type Values<F extends FlagSet> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

export interface Parsed<F extends FlagSet> {
  readonly values: Values<F>;
  /** The arguments that are not flags. */
  readonly rest: readonly string[];
  /** Names of the flags that were given, whatever their value. */
  readonly given: ReadonlySet<string>;
}

export interface ParseOptions {
  /** False ends the flags at the first argument (`docker run IMAGE …`). */
  readonly interspersed: boolean;
}

interface Spelling {
  readonly short?: string;
  readonly placeholder?: string;
}

export function bool(help: string, options: Spelling & { readonly initial?: boolean } = {}): Flag<boolean> {
  return { kind: "bool", help, placeholder: "", ...pick(options), initial: options.initial ?? false, parse: parseBool };
}

export function text(help: string, options: Spelling & { readonly initial?: string } = {}): Flag<string> {
  return {
    kind: "value",
    help,
    placeholder: "string",
    ...pick(options),
    initial: options.initial ?? "",
    parse: (given) => given,
  };
}

/** May be given again and again; every use adds one. */
export function list(help: string, options: Spelling = {}): Flag<readonly string[]> {
  return {
    kind: "list",
    help,
    placeholder: "list",
    ...pick(options),
    initial: [],
    parse: (given, before) => [...before, given],
  };
}

/** undefined until it is given. */
export function integer(help: string, options: Spelling = {}): Flag<number | undefined> {
  return { kind: "value", help, placeholder: "int", ...pick(options), initial: undefined, parse: parseInteger };
}

/** One value of a type of its own; `parse` throws "invalid" with the reason. */
export function value<T>(
  help: string,
  options: Spelling & { readonly parse: (given: string) => T; readonly initial: T },
): Flag<T> {
  return {
    kind: "value",
    help,
    placeholder: "string",
    ...pick(options),
    initial: options.initial,
    parse: options.parse,
  };
}

/** Like {@link list}, with a check (and a translation) of every value. */
export function listOf<T>(
  help: string,
  options: Spelling & { readonly parse: (given: string) => T },
): Flag<readonly T[]> {
  const parse = (given: string, before: readonly T[]) => [...before, options.parse(given)];
  return { kind: "list", help, placeholder: "list", ...pick(options), initial: [], parse };
}

export function choice<T extends string>(
  help: string,
  options: Spelling & { readonly of: readonly T[]; readonly initial: T },
): Flag<T> {
  const parse = (given: string): T => {
    const found = options.of.find((one) => one === given);
    if (found === undefined) throw new EngineError("invalid", `must be one of ${options.of.join(", ")}`);
    return found;
  };
  return { kind: "value", help, placeholder: options.of.join("|"), ...pick(options), initial: options.initial, parse };
}

/** A text that may be left out: `--name` alone is `true`. */
export function optionalText(help: string, options: Spelling = {}): Flag<string> {
  return { kind: "bool", help, placeholder: "", ...pick(options), initial: "", parse: (given) => given };
}

/** Throws "invalid" in pflag's words: `unknown flag: --x`, `flag needs an argument: --x`. */
export function parseFlags<F extends FlagSet>(set: F, argv: readonly string[], options: ParseOptions): Parsed<F> {
  const parser = new Parser(set, options.interspersed);
  parser.run(argv);
  return { values: parser.values as Values<F>, rest: parser.rest, given: parser.given };
}

class Parser {
  readonly values: Record<string, unknown> = {};
  readonly rest: string[] = [];
  readonly given = new Set<string>();
  readonly #set: FlagSet;
  readonly #interspersed: boolean;
  #argv: string[] = [];

  constructor(set: FlagSet, interspersed: boolean) {
    this.#set = set;
    this.#interspersed = interspersed;
    for (const [name, flag] of Object.entries(set)) this.values[name] = flag.initial;
  }

  run(argv: readonly string[]): void {
    this.#argv = [...argv];
    for (let arg = this.#argv.shift(); arg !== undefined; arg = this.#argv.shift()) {
      if (arg === "--") break;
      if (arg.startsWith("--")) this.#long(arg);
      else if (arg.startsWith("-") && arg.length > 1) this.#shorts(arg);
      else {
        this.rest.push(arg);
        if (!this.#interspersed) break;
      }
    }
    this.rest.push(...this.#argv);
  }

  #long(arg: string): void {
    const equals = arg.indexOf("=");
    const name = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
    const flag = Object.hasOwn(this.#set, name) ? this.#set[name] : undefined;
    if (!flag) throw new EngineError("invalid", `unknown flag: --${name}`);
    this.#take(name, { flag, inline: equals < 0 ? undefined : arg.slice(equals + 1), shown: `--${name}` });
  }

  #shorts(arg: string): void {
    for (let at = 1; at < arg.length; at++) {
      const letter = arg.charAt(at);
      const found = Object.entries(this.#set).find(([, flag]) => flag.short === letter);
      if (!found) throw new EngineError("invalid", `unknown shorthand flag: '${letter}' in ${arg}`);
      const [name, flag] = found;
      const tail = arg.slice(at + 1);
      const valued = flag.kind !== "bool" ? tail !== "" : tail.startsWith("=");
      const shown = `'${letter}' in ${arg}`;
      this.#take(name, { flag, inline: valued ? tail.replace(/^=/, "") : undefined, shown });
      if (valued || flag.kind !== "bool") return;
    }
  }

  #take(name: string, use: { flag: Flag<unknown>; inline: string | undefined; shown: string }): void {
    const given = use.inline ?? (use.flag.kind === "bool" ? "true" : this.#argv.shift());
    if (given === undefined) throw new EngineError("invalid", `flag needs an argument: ${use.shown}`);
    try {
      this.values[name] = use.flag.parse(given, this.values[name]);
    } catch (err) {
      const reason = err instanceof Error ? err.message : String(err);
      const full = use.flag.short ? `-${use.flag.short}, --${name}` : `--${name}`;
      throw new EngineError("invalid", `invalid argument ${JSON.stringify(given)} for "${full}" flag: ${reason}`);
    }
    this.given.add(name);
  }
}

function pick(options: Spelling): Spelling {
  return {
    ...(options.short && { short: options.short }),
    ...(options.placeholder && { placeholder: options.placeholder }),
  };
}

function parseBool(given: string): boolean {
  if (/^(1|t|true)$/i.test(given)) return true;
  if (/^(0|f|false)$/i.test(given)) return false;
  throw new EngineError("invalid", "must be true or false");
}

function parseInteger(given: string): number {
  const value = Number(given);
  if (!/^[+-]?\d+$/.test(given) || !Number.isSafeInteger(value))
    throw new EngineError("invalid", `strconv.ParseInt: parsing ${JSON.stringify(given)}: invalid syntax`);
  return value;
}

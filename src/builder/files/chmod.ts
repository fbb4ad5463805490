import { EngineError } from "../../errors/mod.ts";

/** What `--chmod` makes of the mode that a file has at the source; both are permission bits, 0 to 0o7777. */
export type Chmod = (mode: number, isDirectory: boolean) => number;

const bits = { u: 0o4700, g: 0o2070, o: 0o0007, a: 0o6777 } as const;
const shifts = { u: 6, g: 3, o: 0 } as const;
const sticky = 0o1000;
const setIds = 0o6000;
/** What a clause without `u`, `g`, `o` or `a` leaves alone, as in BuildKit. */
const umask = 0o022;

/** Octal, or symbolic as in chmod(1) of BSD, such as `u=rwX,go-w`. Throws "invalid" in BuildKit's words. */
export function parseChmod(text: string): Chmod {
  if (/^[0-9]/.test(text)) return absolute(text);
  const clauses = text.split(",").map((clause) => parseClause(clause, text));
  return (mode, isDirectory) =>
    clauses.reduce((now, { who, actions }) => {
      const apply = (value: number, action: Action) => applied(value, { action, who, original: mode, isDirectory });
      return actions.reduce(apply, now);
    }, mode);
}

function absolute(text: string): Chmod {
  const mode = /^[0-7]{1,9}$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
  if (mode <= 0o7777) return () => mode;
  const problem = "it should be octal string and between 0 and 07777";
  throw new EngineError("invalid", `invalid chmod parameter: '${text}'. ${problem}`);
}

interface Action {
  readonly op: string;
  /** Letters of `rwxXstugo`. */
  readonly what: string;
}

interface Clause {
  /** Letters of `ugoa`; "" for all but what the umask takes. */
  readonly who: string;
  readonly actions: readonly Action[];
}

function parseClause(clause: string, text: string): Clause {
  const match = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
  if (!match) throw new EngineError("invalid", `invalid chmod parameter: '${text}': invalid syntax`);
  const actions = (match[2] ?? "").match(/[-+=][rwxXstugo]*/g) ?? [];
  return { who: match[1] ?? "", actions: actions.map((one) => ({ op: one.charAt(0), what: one.slice(1) })) };
}

interface Applying {
  readonly action: Action;
  readonly who: string;
  readonly original: number;
  readonly isDirectory: boolean;
}

function applied(mode: number, applying: Applying): number {
  const { op } = applying.action;
  const affected = affectedBits(applying);
  const value = valueBits(mode, applying) & affected;
  if (op === "-") return mode & ~value;
  if (op === "+") return mode | value;
  const cleared = applying.who === "" ? bits.a : [...applying.who].reduce((all, one) => all | bitsOf(one), 0);
  return (mode & ~cleared) | value;
}

function bitsOf(letter: string): number {
  return bits[letter as keyof typeof bits];
}

/** `t` belongs to everybody, unless the clause is about others alone. */
function affectedBits({ who, action }: Applying): number {
  if (who === "") return 0o7777 & ~umask;
  const all = [...who].reduce((sum, one) => sum | bitsOf(one), 0);
  const isOthers = (all & ~bits.o) === 0;
  return action.what.includes("t") && !isOthers ? all | sticky : all;
}

function valueBits(mode: number, { action, original, isDirectory }: Applying): number {
  let value = 0;
  for (const letter of action.what) {
    if (letter === "r") value |= 0o444;
    else if (letter === "w") value |= 0o222;
    else if (letter === "x") value |= 0o111;
    else if (letter === "s") value |= setIds;
    else if (letter === "t") value |= sticky;
    else if (letter === "X") value |= action.op === "+" && (isDirectory || (original & 0o111) !== 0) ? 0o111 : 0;
    else value |= ((mode >> shifts[letter as keyof typeof shifts]) & 7) * 0o111;
  }
  return value;
}

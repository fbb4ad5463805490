/** What a glob is made of. */
export type GlobPiece =
  /** One character: as it is written, or of a class (the source of a regular expression's). */
  | { readonly kind: "literal"; readonly char: string }
  | { readonly kind: "class"; readonly source: string }
  /** `?`. */
  | { readonly kind: "one" }
  /** `*`: what has no slash in it, `**` at the end: anything. */
  | { readonly kind: "any"; readonly slashes: boolean }
  /** `**` elsewhere: directories, or none. */
  | { readonly kind: "directories" };

/** The source of a regular expression that matches the same, for JavaScript with the flags `s` and `u`. */
export function globSource(pieces: readonly GlobPiece[]): string {
  return pieces.map(sourceOf).join("");
}

function sourceOf(piece: GlobPiece): string {
  switch (piece.kind) {
    case "literal":
      return /[\^$\\.*+?()[\]{}|/]/.test(piece.char) ? `\\${piece.char}` : piece.char;
    case "class":
      return piece.source;
    case "one":
      return "[^/]";
    case "any":
      return piece.slashes ? ".*" : "[^/]*";
    case "directories":
      return "(?:.*/)?";
    default:
      return piece satisfies never;
  }
}

/** What a step does with a character: goes on with the next step, stays, both or neither. */
interface Step {
  goesOn(char: string): boolean;
  stays(char: string): boolean;
  /** How many steps may be left out. */
  readonly skips: number;
}

/**
 * Whether a name matches, found by following all ways at once: time grows with the length of the name times that of the
 * pattern, whatever they are (Thompson 1968).
 */
export function linearMatcher(pieces: readonly GlobPiece[]): (name: string) => boolean {
  const steps = pieces.flatMap(stepsOf);
  return (name) => {
    let now = new Uint8Array(steps.length + 1);
    let next = new Uint8Array(steps.length + 1);
    now[0] = 1;
    for (const char of name) {
      next.fill(0);
      for (let at = 0; at < steps.length; at++) if (now[at]) advance(steps[at] as Step, { at, char, now, next });
      [now, next] = [next, now];
    }
    for (let at = 0; at < steps.length; at++) if (now[at]) skip(steps[at] as Step, at, now);
    return now[steps.length] === 1;
  };
}

interface Advance {
  readonly at: number;
  readonly char: string;
  readonly now: Uint8Array;
  readonly next: Uint8Array;
}

function advance(step: Step, { at, char, now, next }: Advance): void {
  skip(step, at, now);
  if (step.goesOn(char)) next[at + 1] = 1;
  if (step.stays(char)) next[at] = 1;
}

function skip({ skips }: Step, at: number, now: Uint8Array): void {
  for (let count = 1; count <= skips; count++) now[at + count] = 1;
}

const never = () => false;
const always = () => true;

function stepsOf(piece: GlobPiece): Step[] {
  switch (piece.kind) {
    case "literal":
      return [{ goesOn: (char) => char === piece.char, stays: never, skips: 0 }];
    case "class": {
      const test = new RegExp(`^${piece.source}$`, "su");
      return [{ goesOn: (char) => test.test(char), stays: never, skips: 0 }];
    }
    case "one":
      return [{ goesOn: (char) => char !== "/", stays: never, skips: 0 }];
    case "any":
      return [{ goesOn: never, stays: piece.slashes ? always : (char) => char !== "/", skips: 1 }];
    case "directories":
      // Into the loop, or past it; out of it with a slash alone.
      return [
        { goesOn: never, stays: never, skips: 2 },
        { goesOn: (char) => char === "/", stays: always, skips: 0 },
      ];
    default:
      return piece satisfies never;
  }
}

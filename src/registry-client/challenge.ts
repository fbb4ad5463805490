/** One challenge of a `WWW-Authenticate` header (RFC 9110 §11.6.1). */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const parameter = new RegExp(`\\s*,?\\s*(${token})\\s*=\\s*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`, "y");
const schemeName = new RegExp(`\\s*,?\\s*(${token})(?=\\s|,|$)`, "y");

/** All challenges of a header; what cannot be read ends the list. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  for (;;) {
    schemeName.lastIndex = at;
    const scheme = schemeName.exec(header);
    if (!scheme) return challenges;
    at = schemeName.lastIndex;
    const parameters = new Map<string, string>();
    for (;;) {
      parameter.lastIndex = at;
      const found = parameter.exec(header);
      if (!found) break;
      at = parameter.lastIndex;
      parameters.set((found[1] ?? "").toLowerCase(), found[2]?.replace(/\\(.)/g, "$1") ?? found[3] ?? "");
    }
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters });
  }
}

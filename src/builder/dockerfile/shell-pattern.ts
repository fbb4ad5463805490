/** A shell pattern (`*`, `?`, backslash) as the source of a regular expression; `greedy` is for the longest match. */
export function shellPattern(pattern: string, greedy: boolean): string {
  let out = "";
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at++) {
    const ch = chars[at] ?? "";
    if (ch === "*") out += greedy ? ".*" : ".*?";
    else if (ch === "?") out += ".";
    else if (ch === "\\" && at + 1 < chars.length) out += literal(chars[++at] ?? "");
    else out += literal(ch);
  }
  return out;
}

function literal(ch: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(ch) ? `\\${ch}` : ch;
}

import { EngineError } from "../errors/mod.ts";
import { re2 } from "../patterns/mod.ts";

/** Go's `path.Match`: `*` and `?` stop at slashes, `[a-z]` and `[^a-z]` are classes, a backslash quotes. Throws "invalid" for a bad pattern. */
export function globMatcher(pattern: string): (text: string) => boolean {
  let source = "";
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at] ?? "";
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const end = pattern.indexOf("]", at + 2);
      if (end < 0) throw bad(pattern);
      source += classOf(pattern.slice(at + 1, end));
      at = end;
    } else if (char === "\\") {
      at++;
      if (at >= pattern.length) throw bad(pattern);
      source += quote(pattern[at] ?? "");
    } else source += quote(char);
  }
  const expression = `^(?:${source})$`;
  if (!isExpression(expression)) throw bad(pattern);
  // JavaScript's own would take exponential time for a row of asterisks.
  return re2([expression]);
}

function isExpression(source: string): boolean {
  try {
    return new RegExp(source, "u") instanceof RegExp;
  } catch {
    return false;
  }
}

function classOf(body: string): string {
  const negated = body.startsWith("^");
  const members = (negated ? body.slice(1) : body).replace(/[[\]^]/g, "\\$&");
  return negated ? `[^${members}/]` : `[${members}]`;
}

function quote(char: string): string {
  return /[\^$\\.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char;
}

function bad(pattern: string): EngineError {
  return new EngineError("invalid", `invalid filter 'reference=[${pattern}]': syntax error in pattern`);
}

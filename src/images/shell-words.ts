import { EngineError } from "../errors/mod.ts";

/** Variables by name. */
export type Environment = ReadonlyMap<string, string>;

/** Splits at blanks outside of quotes; quotes and backslashes stay where they are, for {@link expandWord}. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? "";
    if (char === "\\" && quote !== "'") {
      word += char + (text[++at] ?? "");
    } else if (quote === "" && /\s/.test(char)) {
      if (word !== "") words.push(word);
      word = "";
    } else {
      if (quote === "" && (char === "'" || char === '"')) quote = char;
      else if (char === quote) quote = "";
      word += char;
    }
  }
  return word === "" ? words : [...words, word];
}

/** Takes quotes off and replaces variables, as the builder does for one word: `$X`, `${X}`, `${X:-default}`, `${X:+other}`. Throws "invalid". */
export function expandWord(word: string, env: Environment): string {
  let out = "";
  for (let at = 0; at < word.length; ) {
    const char = word[at];
    if (char === "'") {
      const end = closing(word, at, "'");
      out += word.slice(at + 1, end);
      at = end + 1;
    } else if (char === '"') {
      const end = closing(word, at, '"');
      out += expandQuoted(word.slice(at + 1, end), env);
      at = end + 1;
    } else if (char === "\\") {
      out += word[at + 1] ?? "";
      at += 2;
    } else if (char === "$") {
      const { value, next } = variable(word, at, env);
      out += value;
      at = next;
    } else {
      out += char;
      at++;
    }
  }
  return out;
}

/** Inside double quotes a backslash quotes only `"`, `$` and itself. */
function expandQuoted(text: string, env: Environment): string {
  let out = "";
  for (let at = 0; at < text.length; ) {
    const [char, next] = [text[at], text[at + 1] ?? ""];
    if (char === "\\" && /["$\\]/.test(next)) {
      out += next;
      at += 2;
    } else if (char === "$") {
      const found = variable(text, at, env);
      out += found.value;
      at = found.next;
    } else {
      out += char;
      at++;
    }
  }
  return out;
}

function closing(word: string, start: number, quote: string): number {
  for (let at = start + 1; at < word.length; at++) {
    if (word[at] === "\\" && quote === '"') at++;
    else if (word[at] === quote) return at;
  }
  throw new EngineError(
    "invalid",
    `unexpected end of statement while looking for matching ${quote === '"' ? "double-quote" : "single-quote"}`,
  );
}

function variable(text: string, at: number, env: Environment): { value: string; next: number } {
  const plain = /^\$([A-Za-z_]\w*|\d|[@*#])/.exec(text.slice(at));
  if (plain) return { value: env.get(plain[1] ?? "") ?? "", next: at + plain[0].length };
  if (text[at + 1] !== "{") return { value: "$", next: at + 1 };
  const braced = /^\$\{([A-Za-z_]\w*)(?:(:?[-+])([^}]*))?\}/.exec(text.slice(at));
  if (!braced)
    throw new EngineError("invalid", `unsupported modifier or missing '}' in substitution: ${text.slice(at, at + 60)}`);
  const [whole, name = "", operator, other = ""] = braced;
  const value = env.get(name);
  const isSet = operator?.startsWith(":") ? Boolean(value) : value !== undefined;
  const next = at + whole.length;
  if (operator?.endsWith("-")) return { value: isSet ? (value ?? "") : expandWord(other, env), next };
  if (operator?.endsWith("+")) return { value: isSet ? expandWord(other, env) : "", next };
  return { value: value ?? "", next };
}

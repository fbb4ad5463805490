import { EngineError } from "../errors/mod.ts";

/** `[SOURCE:]DESTINATION[:OPTIONS]` of `-v`. A source without a leading slash is a volume's name. */
export interface Bind {
  readonly source?: string;
  readonly destination: string;
  /** The options as written. */
  readonly mode: string;
  readonly readOnly: boolean;
  readonly propagation?: string;
  readonly noCopy: boolean;
  /** What follows `idmap=`; "owner" for `idmap` alone. */
  readonly idmap?: string;
}

const propagations = new Set(["shared", "rshared", "slave", "rslave", "private", "rprivate"]);
/** SELinux labels mean nothing on a host without it; consistency means nothing on Linux: Docker takes both in silence. */
const harmless = new Set(["z", "Z", "consistent", "cached", "delegated", "default"]);

export function isPropagation(word: string): boolean {
  return propagations.has(word);
}

/** At most one of each. */
const kinds: readonly ReadonlySet<string>[] = [
  new Set(["ro", "rw"]),
  new Set(["z", "Z"]),
  new Set(["nocopy"]),
  new Set(["consistent", "cached", "delegated", "default"]),
  propagations,
];

/** Throws "invalid" in Docker's words. The destination may still be a relative path. */
export function parseBind(spec: string): Bind {
  const parts = spec.split(":");
  if (spec === "" || parts.length > 3 || parts.some((part) => part === ""))
    throw new EngineError("invalid", `invalid volume specification: '${spec}'`);
  const [first = "", second, mode = ""] = parts;
  if (second === undefined) return { destination: first, ...parseMode("") };
  if (parts.length === 2 && !second.startsWith("/") && first.startsWith("/") && isMode(second)) {
    return { destination: first, ...parseMode(second) };
  }
  return { source: first, destination: second, ...parseMode(mode) };
}

function isMode(text: string): boolean {
  return text.split(",").every((word) => isWord(word));
}

function isWord(word: string): boolean {
  const plain = word === "ro" || word === "rw" || word === "nocopy" || propagations.has(word) || harmless.has(word);
  return plain || isIdmap(word);
}

/** Berth's own. */
function isIdmap(word: string): boolean {
  return word === "idmap" || word.startsWith("idmap=");
}

function parseMode(mode: string): Omit<Bind, "source" | "destination"> {
  const words = mode === "" ? [] : mode.split(",");
  const found = words.filter((word) => propagations.has(word));
  const maps = words.filter(isIdmap);
  const twice = kinds.some((kind) => words.filter((word) => kind.has(word)).length > 1) || maps.length > 1;
  if (!words.every(isWord) || twice) throw badMode(mode);
  const [propagation] = found;
  const [map] = maps;
  return {
    mode,
    readOnly: words.includes("ro"),
    noCopy: words.includes("nocopy"),
    ...(propagation && { propagation }),
    ...(map && { idmap: map === "idmap" ? "owner" : map.slice("idmap=".length) }),
  };
}

function badMode(mode: string): EngineError {
  return new EngineError("invalid", `invalid mode: ${mode}`);
}

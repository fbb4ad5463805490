import { EngineError } from "../../errors/mod.ts";

/** A Git repository as ADD and build contexts name it, such as `https://host/repo.git?ref=v1&subdir=docs` or `git@host:repo.git#v1:docs`. */
export interface GitRef {
  /** For git: without query and fragment. */
  readonly remote: string;
  /** Branch, tag, full name of a ref or commit; undefined for the default branch. */
  readonly ref?: string;
  /** Directory inside, without slashes around. */
  readonly subdir?: string;
  /** The commit that it must be, or the beginning of its name. */
  readonly checksum?: string;
  readonly keepGitDir?: boolean;
  readonly submodules?: boolean;
}

type Mutable = { -readonly [K in keyof GitRef]: GitRef[K] };

const scpPattern = /^(?:[a-zA-Z0-9_.-]+@)[a-zA-Z0-9_.-]+:(?!\/\/)/;

/** undefined when the text is no repository: an HTTP URL is one only when its path ends with `.git` (BuildKit `dfgitutil`). Throws "invalid" for one that asks for something that there is not. */
export function parseGitRef(text: string): GitRef | undefined {
  const isScp = scpPattern.test(text);
  if (!isScp && !/^(?:https?|git|ssh):\/\//i.test(text)) return undefined;
  const { main, query, fragment } = parts(text);
  if (/^https?:/i.test(main) && !new URL(main).pathname.endsWith(".git")) return undefined;
  const found: Mutable = { remote: main };
  if (fragment !== "") setFragment(found, fragment);
  if (query !== "" && !isScp) setQuery(found, new URLSearchParams(query));
  if (found.checksum !== undefined && found.ref === undefined) found.ref = found.checksum;
  return checked(found);
}

/** Keeps `.git` in a context (docker build, "Build context", "Keep .git directory"). */
export const keepGitDirArgument = "BUILDKIT_CONTEXT_KEEP_GIT_DIR";

/** Likewise for what stands in the place of a build context, where `github.com/OWNER/NAME` is a repository, too (moby `urlutil.IsGitURL`). */
export function parseGitContext(text: string, args: Readonly<Record<string, string | null>>): GitRef | undefined {
  const found = parseGitRef(
    text.replace(/^github\.com\/([^?#]*?)(?:\.git)?\/?(?=[?#]|$)/, "https://github.com/$1.git"),
  );
  const keep = args[keepGitDirArgument] ?? "";
  if (!found || found.keepGitDir !== undefined || keep === "") return found;
  return { ...found, keepGitDir: truth(keepGitDirArgument, keep) };
}

function parts(text: string): { main: string; query: string; fragment: string } {
  const [front = "", ...rest] = text.split("#");
  const [main = "", ...query] = front.split("?");
  return { main, query: query.join("?"), fragment: rest.join("#") };
}

function setFragment(found: Mutable, fragment: string): void {
  const at = fragment.indexOf(":");
  const ref = at < 0 ? fragment : fragment.slice(0, at);
  if (ref !== "") found.ref = ref;
  if (at >= 0) found.subdir = fragment.slice(at + 1);
}

function setQuery(found: Mutable, query: URLSearchParams): void {
  for (const key of new Set(query.keys())) {
    const [value = "", ...more] = query.getAll(key);
    if (more.length > 0) throw invalid(`query ${JSON.stringify(key)} has multiple values`);
    const isFlag = key === "submodules" || key === "keep-git-dir";
    if (value === "" && !isFlag) throw invalid(`query ${JSON.stringify(key)} has no value`);
    setOption(found, { key, value });
  }
}

function setOption(found: Mutable, { key, value }: { key: string; value: string }): void {
  switch (key) {
    case "ref":
      setOnce(found, { name: "ref", value });
      break;
    case "tag":
      setOnce(found, { name: "ref", value: below("refs/tags/", value) });
      break;
    case "branch":
      setOnce(found, { name: "ref", value: below("refs/heads/", value) });
      break;
    case "subdir":
      setOnce(found, { name: "subdir", value });
      break;
    case "checksum":
    case "commit":
      found.checksum = value;
      break;
    case "keep-git-dir":
      found.keepGitDir = truth(key, value);
      break;
    case "submodules":
      found.submodules = truth(key, value);
      break;
    default:
      throw invalid(`unexpected query ${JSON.stringify(key)}`);
  }
}

function setOnce(found: Mutable, { name, value }: { name: "ref" | "subdir"; value: string }): void {
  const before = found[name];
  if (before !== undefined && before !== value) {
    throw invalid(`${name} conflicts: ${JSON.stringify(before)} vs ${JSON.stringify(value)}`);
  }
  found[name] = value;
}

function below(prefix: string, value: string): string {
  return value.startsWith(prefix) ? value : prefix + value;
}

function truth(key: string, value: string): boolean {
  if (["", "1", "t", "T", "TRUE", "true", "True"].includes(value)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(value)) return false;
  throw invalid(`invalid ${key} value: ${JSON.stringify(value)}`);
}

/** Nothing that git would read as an option, as several words or as a mapping of refs. */
function checked(found: GitRef): GitRef {
  const { remote, ref, checksum, subdir } = found;
  if (/[\s\p{Cc}]/u.test(remote)) throw invalid(`invalid repository ${JSON.stringify(remote)}`);
  if (ref !== undefined && !/^[\p{L}\p{N}_.][\p{L}\p{N}_./@+-]*$/u.test(ref)) {
    throw invalid(`invalid reference ${JSON.stringify(ref)}`);
  }
  if (checksum !== undefined && !/^[0-9a-f]{7,64}$/i.test(checksum)) {
    throw invalid(`invalid checksum ${JSON.stringify(checksum)}: expected the name of a commit`);
  }
  const clean = subdir?.split("/").filter((part) => part !== "" && part !== ".");
  if (clean?.includes("..")) throw invalid(`invalid subdirectory ${JSON.stringify(subdir)}`);
  const { subdir: _, ...rest } = found;
  return { ...rest, ...(clean && clean.length > 0 && { subdir: clean.join("/") }) };
}

function invalid(problem: string): EngineError {
  return new EngineError("invalid", problem);
}

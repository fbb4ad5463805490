import { cleanPattern } from "../../patterns/mod.ts";
import { dockerfileError } from "../dockerfile/error.ts";
import { shellWord } from "../dockerfile/expand.ts";
import { textOf } from "../dockerfile/heredoc.ts";
import type { CopyInstruction, CopySource } from "../dockerfile/instructions.ts";
import { parseChmod } from "../files/chmod.ts";
import { type GitRef, parseGitRef } from "../git/ref.ts";
import { joinPath } from "./paths.ts";
import { type Expander, expander, located, type StageState } from "./stage.ts";
import type { CopyOp, SourceFile, Vertex } from "./vertex.ts";

/** What COPY or ADD does, and how the history tells it. `from` is what --from names. */
export function copyOp(
  stage: StageState,
  instruction: CopyInstruction,
  from: (name: string) => Vertex | undefined,
): { op: CopyOp; createdBy: string } {
  const expand = expander(instruction, stage.env);
  const written = instruction.sources.map((source) => sourceFile(source, { instruction, expand }));
  const isText = ({ kind }: SourceFile) => kind === "text";
  // Here-documents come after everything else, wherever they stand (BuildKit `dispatchCopy`).
  const sources = [...written.filter((source) => !isText(source)), ...written.filter(isText)];
  const destination = expand.word(instruction.destination);
  const source = instruction.from ? from(instruction.from) : undefined;
  const [chown, chmod, checksum] = [instruction.chown, instruction.chmod, instruction.checksum].map(
    (text) => text && expand.word(text),
  );
  if (chown && instruction.link) requireNumbers(chown, instruction);
  const op: CopyOp = {
    kind: "copy",
    keyword: instruction.keyword,
    sources,
    origin: instruction.from ? "stage" : "context",
    ...(source && { from: source }),
    destination: joinPath(stage.config.WorkingDir || "/", destination),
    ...(chown && { chown }),
    ...(chmod !== undefined && chmod !== "" && { chmod: checkedChmod(chmod, instruction) }),
    ...(checksum !== undefined && checksum !== "" && { checksum: checkedChecksum(checksum, { instruction, sources }) }),
    link: instruction.link,
    parents: instruction.parents,
    exclude: instruction.exclude.map(cleanPattern),
    ...(instruction.unpack !== undefined && { unpack: instruction.unpack }),
  };
  return { op, createdBy: createdBy(op, { chmod: chmod ?? "", destination }) };
}

function sourceFile(
  source: CopySource,
  { instruction, expand }: { instruction: CopyInstruction; expand: Expander },
): SourceFile {
  if (source.kind === "heredoc") {
    const { name, expand: variable } = source.heredoc;
    const content = textOf(source.heredoc);
    // Here-documents know the backslash alone as an escape, whatever the escape directive says (BuildKit `dispatch`).
    const options = { ...expand.options, escape: "\\", keepQuotes: true };
    const text = variable ? located(instruction, () => shellWord(content, options)) : content;
    return { kind: "text", name, text };
  }
  const path = expand.word(source.path);
  const git = located(instruction, () => parseGitRef(path));
  const isUrl = /^https?:\/\//.test(path);
  if (instruction.keyword === "COPY" && (git || isUrl)) {
    throw dockerfileError(instruction, `source can't be a ${git ? "git ref" : "URL"} for COPY`);
  }
  if (git) return { kind: "git", url: path, git: kept(git, instruction) };
  return isUrl ? { kind: "url", url: path } : { kind: "path", path };
}

/** --keep-git-dir and the URL's own query must not contradict each other. */
function kept(git: GitRef, instruction: CopyInstruction): GitRef {
  const { keepGitDir } = instruction;
  if (keepGitDir === undefined) return git;
  if (git.keepGitDir !== undefined && git.keepGitDir !== keepGitDir) {
    throw dockerfileError(instruction, "inconsistent keep-git-dir configuration");
  }
  return { ...git, keepGitDir };
}

/** A layer of its own has no users and groups that names could be looked up in. */
function requireNumbers(chown: string, instruction: CopyInstruction): void {
  if (/^[+-]?\d*(?::[+-]?\d*)?$/.test(chown)) return;
  const problem = "user and group names can't be resolved when used with --link, use numeric uid[:gid] instead";
  throw dockerfileError(instruction, `--chown=${chown}: ${problem}`);
}

function checkedChmod(text: string, instruction: CopyInstruction): string {
  located(instruction, () => parseChmod(text));
  return text;
}

/** A checksum is about one download. */
function checkedChecksum(
  text: string,
  { instruction, sources }: { instruction: CopyInstruction; sources: readonly SourceFile[] },
): string {
  const [source, ...more] = sources.filter(({ kind }) => kind !== "text");
  if (!source || more.length > 0)
    throw dockerfileError(instruction, "checksum can't be specified for multiple sources");
  if (source.kind === "path") {
    throw dockerfileError(
      instruction,
      "checksum requires HTTP(S) or Git sources: it can't be specified for local files",
    );
  }
  const good =
    source.kind === "git" ? /^[0-9a-f]{7,64}$/i : /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/;
  if (good.test(text)) return text;
  const problem =
    /^sha(?:256|384|512):/.test(text) || source.kind === "git" ? "length or digits" : "algorithm or format";
  throw dockerfileError(instruction, `invalid checksum ${JSON.stringify(text)}: unsupported digest ${problem}`);
}

/** In BuildKit's words: what does not change the files is not told. */
function createdBy(op: CopyOp, { chmod, destination }: { chmod: string; destination: string }): string {
  const flags = [
    op.parents && "--parents",
    op.chown !== undefined && `--chown=${op.chown}`,
    chmod !== "" && `--chmod=${chmod}`,
  ].filter((flag) => flag !== false);
  const words = op.sources.map((source) => {
    if (source.kind === "text") return `<<${source.name}`;
    return source.kind === "path" ? source.path : source.url;
  });
  return [op.keyword, ...flags, ...words, destination, "# buildkit"].join(" ");
}

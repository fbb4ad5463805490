import { dockerfileError } from "../dockerfile/error.ts";
import { shellWord } from "../dockerfile/expand.ts";
import type { CopyInstruction, CopySource } from "../dockerfile/instructions.ts";
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
  const sources = instruction.sources.map((source) => sourceFile(source, { instruction, expand }));
  const destination = expand.word(instruction.destination);
  requireDirectory(instruction, { sources, destination });
  const source = instruction.from === undefined ? undefined : from(expand.word(instruction.from));
  const op: CopyOp = {
    kind: "copy",
    keyword: instruction.keyword,
    sources,
    origin: instruction.from === undefined ? "context" : "stage",
    ...(source && { from: source }),
    destination: joinPath(stage.config.WorkingDir || "/", destination),
    ...(instruction.chown !== undefined && { chown: expand.word(instruction.chown) }),
    ...(instruction.chmod !== undefined && { chmod: chmodOf(expand.word(instruction.chmod), instruction) }),
    ...(instruction.checksum !== undefined && { checksum: checksumOf(expand.word(instruction.checksum), instruction) }),
    link: instruction.link,
    parents: instruction.parents,
    exclude: instruction.exclude.map((pattern) => expand.word(pattern)),
    ...(instruction.unpack !== undefined && { unpack: instruction.unpack }),
  };
  return { op, createdBy: createdBy(instruction, { sources, destination }) };
}

interface Words {
  readonly sources: readonly SourceFile[];
  readonly destination: string;
}

function requireDirectory(instruction: CopyInstruction, { sources, destination }: Words): void {
  const isDirectory = destination.endsWith("/") || /(?:^|\/)\.\.?$/.test(destination);
  if (sources.length < 2 || isDirectory || instruction.parents) return;
  const problem = `When using ${instruction.keyword} with more than one source file, the destination must be a directory and end with a /`;
  throw dockerfileError(instruction, problem);
}

function sourceFile(
  source: CopySource,
  { instruction, expand }: { instruction: CopyInstruction; expand: Expander },
): SourceFile {
  if (source.kind === "heredoc") {
    const { name, content, expand: variable } = source.heredoc;
    // Here-documents know the backslash alone as an escape, whatever the escape directive says (BuildKit `dispatch`).
    const options = { ...expand.options, escape: "\\", keepQuotes: true };
    const text = variable ? located(instruction, () => shellWord(content, options)) : content;
    return { kind: "text", name, text };
  }
  const path = expand.word(source.path);
  if (instruction.keyword === "COPY") return { kind: "path", path };
  if (/^(?:git@|git:\/\/|ssh:\/\/)|\.git(?:#.*)?$/.test(path) && /^(?:git@|\w+:\/\/)/.test(path)) {
    throw dockerfileError(instruction, `ADD from a git repository is not supported: ${path}`);
  }
  return /^https?:\/\//i.test(path) ? { kind: "url", url: path } : { kind: "path", path };
}

function chmodOf(text: string, instruction: CopyInstruction): number {
  if (/^[0-7]{1,4}$/.test(text)) return Number.parseInt(text, 8);
  const problem = `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`;
  throw dockerfileError(instruction, problem);
}

function checksumOf(text: string, instruction: CopyInstruction): string {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text;
  throw dockerfileError(instruction, `invalid checksum ${JSON.stringify(text)}: unsupported digest format`);
}

function createdBy(instruction: CopyInstruction, { sources, destination }: Words): string {
  const flags = [
    instruction.from !== undefined && `--from=${instruction.from}`,
    instruction.chown !== undefined && `--chown=${instruction.chown}`,
    instruction.chmod !== undefined && `--chmod=${instruction.chmod}`,
    instruction.link && "--link",
    instruction.parents && "--parents",
  ].filter((flag) => flag !== false);
  const words = sources.map((source) => {
    if (source.kind === "text") return `<<${source.name}`;
    return source.kind === "url" ? source.url : source.path;
  });
  return [instruction.keyword, ...flags, ...words, destination, "# buildkit"].join(" ");
}

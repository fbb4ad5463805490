import { describe, expect, test } from "bun:test";
import { parseDockerfile } from "./dockerfile.ts";
import { parseNodes } from "./parse.ts";

const one = (text: string) => parseDockerfile(`FROM x\n${text}`).stages[0]?.instructions[0];
const failing = (text: string) => () => parseDockerfile(text);

describe("lines and continuations", () => {
  const cases: Record<string, [string, string[]]> = {
    "a byte order mark": ["\uFEFFFROM a\nRUN b", ["FROM a", "RUN b"]],
    "carriage returns": ["FROM a\r\nRUN b \\\r\n  c\r\n", ["FROM a", "RUN b   c"]],
    "no newline at the end": ["FROM a\nRUN b", ["FROM a", "RUN b"]],
    "blank lines and comments inside of an instruction": [
      "FROM a\nRUN b \\\n\n# no\n  # no\n \t\n c\nRUN d",
      ["FROM a", "RUN b  c", "RUN d"],
    ],
    "blanks after the backslash": ["FROM a\nRUN b \\ \t\n c", ["FROM a", "RUN b  c"]],
    "a doubled backslash is none": ["FROM a\nRUN b\\\\\nRUN c", ["FROM a", "RUN b\\\\", "RUN c"]],
    "another escape character": ["# escape=`\nFROM a\nRUN b `\n c\\\nRUN d", ["FROM a", "RUN b  c\\", "RUN d"]],
    "directives end at a comment": ["# words\n# escape=`\nFROM a\nRUN b \\\n c", ["FROM a", "RUN b  c"]],
    "other directives": [
      "#syntax=docker/dockerfile:1\n# check=skip=all\n# escape = `\nFROM a\nRUN b `\nc",
      ["FROM a", "RUN b c"],
    ],
    "a backslash at the end of the file": ["FROM a\nRUN b \\", ["FROM a", "RUN b"]],
    "a line of a backslash alone": ["\\\nFROM a", ["FROM a"]],
  };
  test.each(Object.entries(cases))("%s", (_, [text, expected]) => {
    expect(parseNodes(text).map((node) => node.original)).toEqual(expected);
  });

  test("nodes know their lines", () => {
    const nodes = parseNodes("\n# c\nFROM a\n\nRUN b \\\n  c\nRUN <<E\nx\nE\n");
    expect(nodes.map(({ line, endLine }) => [line, endLine])).toEqual([
      [3, 3],
      [5, 6],
      [7, 9],
    ]);
  });

  test("a line of 64 KiB is refused, one below is not", () => {
    const line = (length: number) => `FROM a\nLABEL a=${"x".repeat(length)}`;
    expect(failing(line(65_600))).toThrow("line 2: dockerfile line greater than max allowed size of 65535");
    expect(failing(line(65_000))).not.toThrow();
  });
});

describe("here-documents", () => {
  const documents = (text: string) => parseNodes(text).flatMap((node) => node.heredocs);

  test("plain, quoted, chomped, several", () => {
    expect(documents("RUN <<A cat <<-'B'\n$one\nA\n\ttwo\n\tB\n")).toEqual([
      { name: "A", expand: true, chomp: false, content: "$one\n" },
      { name: "B", expand: false, chomp: true, content: "\ttwo\n" },
    ]);
    expect(documents('COPY <<E"O"F /x\nE\nEOF\n')).toEqual([
      { name: "EOF", expand: false, chomp: false, content: "E\n" },
    ]);
  });

  test("text that looks like instructions or continuations is text", () => {
    expect(documents("COPY <<E /x\n# c\nFROM y \\\n\nE\nRUN z")[0]?.content).toBe("# c\nFROM y \\\n\n");
  });

  test("what only looks like one is none", () => {
    for (const line of ["RUN echo $((1<<2))", 'RUN ["<<E"]', "RUN cat <<<word", "ENV A=<<E", "RUN echo '<<E'"]) {
      expect(documents(`${line}\n`)).toEqual([]);
    }
  });

  test("without an end it is refused at its line", () => {
    expect(failing("FROM a\nCOPY <<EOF /x\nnever")).toThrow("line 2: unterminated heredoc");
  });
});

describe("instructions", () => {
  test("FROM, in every form", () => {
    const froms = parseDockerfile("FROM a\nfrom --platform=$P b aS Name").stages.map(({ from }) => from);
    expect(froms).toMatchObject([{ image: "a" }, { image: "b", name: "name", platform: "$P" }]);
  });

  test("RUN in shell and exec form, flags, and what follows them", () => {
    expect(one("RUN --network=none --mount=type=tmpfs,target=/t echo --not a flag")).toMatchObject({
      command: { form: "shell", words: ["echo --not a flag"] },
      network: "none",
      mounts: [
        [
          { key: "type", value: "tmpfs" },
          { key: "target", value: "/t" },
        ],
      ],
    });
    expect(one('RUN ["a", "b c"]')).toMatchObject({ command: { form: "exec", words: ["a", "b c"] } });
    expect(one("RUN ['a']")).toMatchObject({ command: { form: "shell", words: ["['a']"] } });
  });

  test("COPY and ADD with flags, JSON and here-documents", () => {
    expect(one('COPY --from=x --chown=a:b ["a b", "/c d/"]')).toMatchObject({
      keyword: "COPY",
      from: "x",
      chown: "a:b",
      sources: [{ kind: "path", path: "a b" }],
      destination: "/c d/",
    });
    expect(one("ADD a <<E /d/\ntext\nE")).toMatchObject({
      sources: [
        { kind: "path", path: "a" },
        { kind: "heredoc", heredoc: { name: "E", content: "text\n" } },
      ],
    });
  });

  test("pairs keep their quotes for the expansion", () => {
    expect(one('ENV a="b c" d=e\\ f')).toMatchObject({
      pairs: [
        { name: "a", value: '"b c"' },
        { name: "d", value: "e\\ f" },
      ],
    });
    expect(one("ENV a b = c")).toMatchObject({ pairs: [{ name: "a", value: "b = c" }] });
  });
});

describe("what nobody writes is bounded", () => {
  const large: Record<string, [string, string]> = {
    "a long line": [`FROM a\nRUN ${"x".repeat(1_000_000)}`, "line 2: dockerfile line greater than max allowed size"],
    "many lines": ["#\n".repeat(500_001), "line 500001: a Dockerfile has at most 500000 lines"],
    "many instructions": [`FROM a\n${"RUN a\n".repeat(20_000)}`, "line 20001: a Dockerfile has at most 20000 instr"],
    "many stages": ["FROM a\n".repeat(10_000), "line 2001: a Dockerfile has at most 2000 stages"],
  };
  test.each(Object.entries(large))("%s", (_, [text, message]) => {
    expect(failing(text)).toThrow(message);
  });
});

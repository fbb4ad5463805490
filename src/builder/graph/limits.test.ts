import { describe, expect, test } from "bun:test";
import { parseDockerfile } from "../dockerfile/dockerfile.ts";
import { toGraph } from "./to-graph.ts";

const amd64 = { os: "linux", architecture: "amd64" };

function graph(text: string) {
  const platforms = { targetPlatform: amd64, buildPlatform: amd64, platformGiven: false };
  const found = toGraph({ file: parseDockerfile(text), args: {}, labels: {}, ...platforms, images: new Map() });
  if (found.kind === "needs") throw new Error("needs an image");
  return found.graph;
}

describe("what nobody writes is bounded", () => {
  const chain = (count: number, more: string) =>
    Array.from(
      { length: count },
      (_, index) => `FROM ${index === 0 ? "scratch" : `s${index - 1}`} AS s${index}\n${more}`,
    );
  const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, at) => line(at));

  test("2000 stages in a row are evaluated", () => {
    expect(graph(chain(2000, "ENV A=1\n").join("")).steps).toHaveLength(4000);
  });

  const large: Record<string, [string[], string]> = {
    "a value that doubles": [["ENV A=aaaaaaaa", ...lines(60, () => "ENV A=$A$A")], "longer than 1048576 characters"],
    "long values again and again": [
      [`ENV A=${"a".repeat(60_000)}`, ...lines(900, () => "LABEL a=$A")],
      "too much text",
    ],
    "patterns that try everything": [
      [`ENV A=${"a".repeat(60_000)}`, `ENV B=\${A#${"*a".repeat(1000)}b}`],
      "too much text",
    ],
    "more variables than a process can have": [lines(1001, (at) => `ENV V${at}=1`), "at most 1000 variables"],
    "ports without end": [lines(100, () => "EXPOSE 0-65535"), "too much text"],
  };
  test.each(Object.entries(large))("%s", (_, [text, message]) => {
    expect(() => graph(["FROM scratch", ...text].join("\n"))).toThrow(message);
  });
});

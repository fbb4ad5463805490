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
    "a working directory that grows": [lines(15_000, () => `WORKDIR ${"a".repeat(30)}`), "too much text"],
    "ports without end": [lines(100, () => "EXPOSE 0-65535"), "too much text"],
  };
  /** Everything that an evaluation makes, each array and string once. */
  function reached(root: unknown): Set<unknown> {
    const found = new Set([root]);
    for (const one of found) {
      if (typeof one !== "object" || one === null) continue;
      const inside = one instanceof Map || one instanceof Set ? [...one] : Object.values(one);
      for (const value of inside) if (typeof value === "object") found.add(value);
    }
    return found;
  }

  test("steps that see the same variables share them", () => {
    const variables = lines(900, (at) => `ENV V${at}=1`);
    const { steps } = graph(["FROM scratch", ...variables, ...lines(3000, () => "RUN true")].join("\n"));
    const environments = steps.flatMap(({ vertex, runs }) =>
      runs && vertex?.op.kind === "exec" ? [vertex.op.env] : [],
    );
    expect(environments).toHaveLength(3000);
    expect(new Set(environments).size).toBe(1);
  });

  test("what was done is told once, not again for each stage on top", () => {
    const { result } = graph(chain(1000, "ENV A=1\nENV B=2\n").join(""));
    expect(result.history).toHaveLength(2000);
    expect(reached(result).size).toBeLessThan(2100);
  });

  test("a stage that many stand on is not read without end", () => {
    const triggers = lines(15_000, () => "ONBUILD RUN true");
    const sources = lines(1000, (at) => `FROM a AS s${at}`);
    const copies = lines(1000, (at) => `COPY --from=s${at} / /`);
    const text = ["FROM scratch AS a", ...triggers, ...sources, "FROM scratch", ...copies].join("\n");
    expect(() => graph(text)).toThrow("too much text");
  });

  test("15,000 triggers run once", () => {
    const text = ["FROM scratch AS a", ...lines(15_000, () => "ONBUILD RUN true"), "FROM a"].join("\n");
    expect(graph(text).steps).toHaveLength(30_002);
  });

  test.each(Object.entries(large))("%s", (_, [text, message]) => {
    expect(() => graph(["FROM scratch", ...text].join("\n"))).toThrow(message);
  });
});

import { describe, expect, test } from "bun:test";
import { parseDockerfile } from "./dockerfile.ts";
import { quoter, type Source } from "./quote.ts";

/** What grows with the square of the text took seconds or minutes; these take milliseconds, and are given a second on a busy machine. */
const generous = 1000;

function milliseconds(body: () => void): number {
  const started = performance.now();
  body();
  return performance.now() - started;
}

describe("time grows with the text, not with its square", () => {
  const line = (unit: string) => unit.repeat(Math.floor(65_000 / unit.length));
  const texts: Record<string, string> = {
    "carriage returns inside of a line": `RUN a${line("\r")}b`,
    "blanks inside of a directive": `# check=${line(" a")}`,
    "blanks in front of a directive's value": `# check=${line(" ")}a\rb`,
    "one flag thousands of times": `RUN ${line("--mount=type=tmpfs,target=/a ")}b`,
    "blanks behind escapes": `RUN ${line("\\ ")}b`,
  };
  test.each(Object.entries(texts))("%s", (_, text) => {
    const whole = text.startsWith("#") ? `${text}\nFROM scratch\n` : `FROM scratch\n${`${text}\n`.repeat(4)}`;
    expect(milliseconds(() => parseDockerfile(whole))).toBeLessThan(generous);
  });

  test("a source is split once for all its quotes", () => {
    let splits = 0;
    const text = { split: () => [`${++splits}`] };
    const quote = quoter({ name: "Dockerfile", text } as unknown as Source);
    for (let at = 0; at < 100; at++) quote({ line: 1, endLine: 1 });
    expect(splits).toBe(1);
  });
});

import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { messageOf } from "../../errors/mod.ts";

/**
 * Goldens of one topic: `golden/TOPIC.txt` has cases of the form `=== title`, the input, `---`, what comes of it. With
 * BERTH_GOLDEN=write in the environment the second parts are written anew, to be read before they are committed.
 */
export function goldens(topic: string, render: (input: string) => string): void {
  const path = new URL(`golden/${topic}.txt`, import.meta.url).pathname;
  const cases = readFileSync(path, "utf8").split(/^=== /m).slice(1).map(parts);
  const results = cases.map((one) => ({ ...one, actual: tried(() => render(one.input)) }));
  if (process.env["BERTH_GOLDEN"] === "write") writeFileSync(path, results.map(written).join(""));
  test.each(results.map((one) => [`${topic}: ${one.title}`, one] as const))("%s", (_, { actual, expected }) => {
    expect(actual).toBe(expected);
  });
}

interface Golden {
  readonly title: string;
  readonly input: string;
  readonly expected: string;
}

/** Characters that editors do not leave alone stand as pictures. */
const pictures: readonly (readonly [string, string])[] = [
  ["␂", "\uFEFF"],
  ["␍", "\r"],
  ["␉", "\t"],
  ["␛", "\u001B"],
];

function parts(text: string): Golden {
  const end = text.indexOf("\n");
  const [input = "", ...expected] = text.slice(end + 1).split(/^---\n/m);
  const plain = pictures.reduce((out, [picture, char]) => out.replaceAll(picture, char), input).replaceAll("␠", " ");
  return { title: text.slice(0, end), input: plain, expected: expected.join("---\n").replace(/\n$/, "") };
}

function written({ title, input, actual }: Golden & { readonly actual: string }): string {
  const shown = pictures.reduce((out, [picture, char]) => out.replaceAll(char, picture), input).replace(/ $/gm, "␠");
  return `=== ${title}\n${shown}---\n${actual}\n`;
}

function tried(body: () => string): string {
  try {
    return body();
  } catch (err) {
    return `error: ${messageOf(err)}`;
  }
}

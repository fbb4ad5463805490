import { expect, test } from "bun:test";
import { quotable } from "./quote.ts";

const at = (line: number, endLine = line) => ({ line, endLine });

test("a text for who quotes by counting lines: whole, or only what is quoted at its place, or none", () => {
  expect(quotable({ name: "D", text: "FROM a\r\nRUN \u001b[2J\n" }, at(1), 100)).toBe("FROM a\nRUN \uFFFD[2J\n");
  const text = Array.from({ length: 100 }, (_, index) => `RUN line ${index + 1}`).join("\n");
  expect(quotable({ name: "D", text }, at(50), 200)).toBe(
    `${"\n".repeat(47)}RUN line 48\nRUN line 49\nRUN line 50\nRUN line 51\nRUN line 52`,
  );
  expect(quotable({ name: "D", text }, at(1, 90), 200)).toBeUndefined();
});

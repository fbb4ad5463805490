import { expect, test } from "bun:test";
import { EngineError, wrap } from "../errors/mod.ts";
import { dockerfileError } from "./dockerfile/error.ts";
import { failurePlace, placed, quoted } from "./failure-place.ts";

const source = { name: "Dockerfile", text: "FROM a\nRUNN b\n" };
const lines = { line: 2, endLine: 2 };

test("an error's place is found whatever is around it, with the message that quotes nothing", () => {
  const err = dockerfileError(lines, "unknown instruction: RUNN");
  const message = "dockerfile parse error on line 2: unknown instruction: RUNN";
  expect(wrap(quoted(err, source), "more").message).toContain(`more: ${message}\nDockerfile:2\n---`);
  const place = failurePlace(wrap(quoted(err, source), "more"));
  expect(place).toMatchObject({ name: "Dockerfile", lines, message });
  expect([place?.text(100), place?.text(3)]).toEqual([source.text, undefined]);
  expect(placed(err, source)).toMatchObject({ kind: "invalid", message });
  expect(failurePlace(placed(new EngineError("unavailable", "gone"), source, lines))).toMatchObject({
    message: "gone",
  });
});

test("no place: what stands nowhere, and a build that was canceled", () => {
  const nowhere = new EngineError("invalid", "no such target");
  expect([quoted(nowhere, source), placed(nowhere, source)]).toEqual([nowhere, nowhere]);
  const canceled = new EngineError("canceled", "gone");
  expect(placed(canceled, source, lines)).toBe(canceled);
  expect([failurePlace(nowhere), failurePlace("text")]).toEqual([undefined, undefined]);
});

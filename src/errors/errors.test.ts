import { expect, test } from "bun:test";
import { causeOf, EngineError, kindOf, messageOf, wrap } from "./mod.ts";

test("wrapping keeps the kind and the cause and puts the context in front", () => {
  const cause = new EngineError("not-found", "no such blob");
  const wrapped = wrap(cause, "pull nginx");
  expect([wrapped.kind, wrapped.message, wrapped.cause]).toEqual(["not-found", "pull nginx: no such blob", cause]);
});

test("the outermost kind decides; what is not ours is internal; an abort is canceled", () => {
  const outer = new EngineError("invalid", "x", { cause: new EngineError("not-found", "y") });
  expect(kindOf(outer)).toBe("invalid");
  expect(kindOf(new Error("z", { cause: outer }))).toBe("invalid");
  expect(kindOf(new Error("z"))).toBe("internal");
  expect(kindOf(new DOMException("gone", "AbortError"))).toBe("canceled");
  expect(messageOf("text")).toBe("text");
});

test("the first of a class in the chain of causes is found", () => {
  const inner = new RangeError("in");
  const outer = new EngineError("invalid", "out", { cause: new Error("between", { cause: inner }) });
  expect(causeOf(outer, RangeError)).toBe(inner);
  expect(causeOf(outer, EngineError)).toBe(outer);
  expect(causeOf(outer, SyntaxError)).toBeUndefined();
  expect(causeOf("text", Error)).toBeUndefined();
});

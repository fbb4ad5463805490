import { expect, test } from "bun:test";
import { EngineError, kindOf, messageOf, wrap } from "./mod.ts";

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

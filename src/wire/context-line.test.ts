import { expect, test } from "bun:test";
import { type ContextLine, decodeContextLine, encodeContextLines } from "./mod.ts";

test("a context's lines come in pieces of many, each whole, and say what was said", async () => {
  const lines = Array.from(
    { length: 2500 },
    (_, at): ContextLine => ({ path: `f${at}`, type: "file", mode: 0o644, mtime: 1n, text: "s" }),
  );
  const attributes: ContextLine = {
    path: "x",
    type: "directory",
    mode: 0o755,
    mtime: -1n,
    text: "",
    xattrs: [["user.a", "AQ=="]],
  };
  const pieces = (await Array.fromAsync(encodeContextLines([...lines, attributes]))).map(String);
  expect(pieces.map((piece) => piece.trimEnd().split("\n").length)).toEqual([1000, 1000, 501]);
  expect(pieces.join("").trimEnd().split("\n").map(decodeContextLine)).toEqual([...lines, attributes]);
});

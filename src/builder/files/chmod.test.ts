import { describe, expect, test } from "bun:test";
import { parseChmod } from "./chmod.ts";

describe("--chmod", () => {
  const files: Record<string, [number, string]> = {
    "755": [0o600, "755"],
    "0": [0o777, "0"],
    "04711": [0o600, "4711"],
    "u+x": [0o644, "744"],
    "+x": [0o644, "755"],
    "+w": [0o444, "644"],
    "a+w": [0o444, "666"],
    "go-rwx": [0o777, "700"],
    "u=rwX,go=rX": [0o644, "644"],
    "u=rw,go=r": [0o777, "644"],
    "=r": [0o777, "444"],
    "go=": [0o4777, "4700"],
    "a+X": [0o644, "644"],
    "u+X": [0o654, "754"],
    "g=u": [0o740, "770"],
    "g=u-w": [0o740, "750"],
    "go=u,o-x": [0o750, "776"],
    "u+s,g+s": [0o755, "6755"],
    "o+s": [0o755, "755"],
    "+t": [0o755, "1755"],
    "a-x+X": [0o755, "755"],
    "a=": [0o7777, "1000"],
  };
  test.each(Object.entries(files))("%s of a file", (text, [before, after]) => {
    expect(parseChmod(text)(before, false).toString(8)).toBe(after);
  });

  test("X makes directories searchable", () => {
    expect(parseChmod("a+X")(0o644, true).toString(8)).toBe("755");
  });

  const wrong = ["", "8", "77777", "0o755", "755x", "u", "rwx", "u+q", "u+x,", ",u+x", "u+x g+x"];
  test.each(wrong)("%j is refused", (text) => {
    expect(() => parseChmod(text)).toThrow(`invalid chmod parameter: '${text}'`);
  });
});

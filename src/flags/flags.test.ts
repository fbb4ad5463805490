import { expect, test } from "bun:test";
import { bool, choice, integer, list, parseFlags, text } from "./mod.ts";

const set = {
  interactive: bool("keep stdin open", { short: "i" }),
  tty: bool("a terminal", { short: "t" }),
  name: text("its name"),
  publish: list("ports", { short: "p" }),
  tail: integer("lines"),
  progress: choice("how", { of: ["auto", "plain"], initial: "auto" }),
};
const parse = (argv: string[], interspersed = true) => parseFlags(set, argv, { interspersed });

test("long, short, grouped, inline and repeated flags", () => {
  const { values, rest, given } = parse([
    "-it",
    "--name=web",
    "-p80:80",
    "-p",
    "81:81",
    "--publish=82",
    "image",
    "--tail",
    "-1",
  ]);
  expect(values).toMatchObject({
    interactive: true,
    tty: true,
    name: "web",
    publish: ["80:80", "81:81", "82"],
    tail: -1,
  });
  expect(rest).toEqual(["image"]);
  expect(given.has("progress")).toBe(false);
});

test("flags end at the first argument where they may not be mixed, and at --", () => {
  expect(parse(["-i", "image", "-t", "--x"], false).rest).toEqual(["image", "-t", "--x"]);
  expect(parse(["-i", "--", "-t"]).rest).toEqual(["-t"]);
  expect(parse(["-"]).rest).toEqual(["-"]);
});

test("a boolean takes a value only with an equals sign", () => {
  expect(parse(["--tty=false", "-i=0", "x"]).values).toMatchObject({ tty: false, interactive: false });
});

test.each([
  [["--nope"], "unknown flag: --nope"],
  [["--constructor"], "unknown flag: --constructor"],
  [["-ix"], "unknown shorthand flag: 'x' in -ix"],
  [["--name"], "flag needs an argument: --name"],
  [["-p"], "flag needs an argument: 'p' in -p"],
  [["--tail", "x"], 'invalid argument "x" for "--tail" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  [["--tty=maybe"], 'invalid argument "maybe" for "-t, --tty" flag: must be true or false'],
  [["--progress", "no"], 'invalid argument "no" for "--progress" flag: must be one of auto, plain'],
])("%p is refused", (argv, message) => {
  expect(() => parse(argv)).toThrow(message);
});
